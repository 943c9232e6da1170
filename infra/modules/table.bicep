metadata name = 'Table'
metadata description = 'The NSGFlow_CL table, and the saved functions and queries over it.'

@description('Required. Name of the workspace, in the resource group that this module is deployed to.')
param workspaceName string

@description('Required. Plan of the table.')
@allowed(['Analytics', 'Basic'])
param plan string

@description('Required. Days of interactive retention, with the plan Analytics; Basic keeps 30.')
param retentionInDays int

@description('Required. Days of retention in all, or -1 for the interactive retention alone.')
param totalRetentionInDays int

var schema = loadJsonContent('../../nsgflow_core/schema.json')

// Functions of one's own do not run over a Basic table, so Basic gets the queries alone.
var functions = [
  {
    name: 'NSGFlow'
    displayName: 'NSGFlow'
    query: loadTextContent('../queries/NSGFlow.kql')
    functionAlias: 'NSGFlow'
    functionParameters: ''
  }
  {
    name: 'ASimNetworkSessionNSGFlow'
    displayName: 'ASimNetworkSessionNSGFlow'
    query: loadTextContent('../queries/ASimNetworkSessionNSGFlow.kql')
    functionAlias: 'ASimNetworkSessionNSGFlow'
    functionParameters: 'disabled:bool=false'
  }
]
var queries = [
  {
    name: 'nsgflow-dropped-flows'
    displayName: 'Dropped flows of an address'
    query: loadTextContent('../queries/dropped-flows.kql')
    functionAlias: ''
    functionParameters: ''
  }
  {
    name: 'nsgflow-top-denied-ports'
    displayName: 'Most denied ports'
    query: loadTextContent('../queries/top-denied-ports.kql')
    functionAlias: ''
    functionParameters: ''
  }
  {
    name: 'nsgflow-newly-denied-pairs'
    displayName: 'Newly denied pairs'
    query: loadTextContent('../queries/newly-denied-pairs.kql')
    functionAlias: ''
    functionParameters: ''
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: workspaceName
}

resource table 'Microsoft.OperationalInsights/workspaces/tables@2025-07-01' = {
  parent: workspace
  name: schema.table
  properties: {
    plan: plan
    retentionInDays: plan == 'Analytics' ? retentionInDays : null
    totalRetentionInDays: totalRetentionInDays
    schema: {
      name: schema.table
      columns: map(schema.columns, column => {
        name: column.name
        type: column.type == 'datetime' ? 'dateTime' : column.type
        description: column.description
      })
    }
  }
}

// One at a time: the workspace answers parallel writes of saved searches with conflicts.
@batchSize(1)
resource savedSearches 'Microsoft.OperationalInsights/workspaces/savedSearches@2025-07-01' = [
  for search in concat(plan == 'Analytics' ? functions : [], queries): {
    parent: workspace
    name: search.name
    properties: {
      category: 'nsgflow'
      displayName: search.displayName
      query: search.query
      functionAlias: empty(search.functionAlias) ? null : search.functionAlias
      functionParameters: empty(search.functionParameters) ? null : search.functionParameters
      version: 2
      // Without it a second deployment is refused with 409; the type lacks it.
      #disable-next-line BCP037
      etag: '*'
    }
    dependsOn: [table]
  }
]

@description('Name of the table.')
output name string = table.name
