metadata name = 'Data collection rule'
metadata description = 'The rule, with its own endpoint, that takes rows into the table.'

@description('Required. Name of the rule.')
param name string

@description('Required. Region of the rule, which must be the workspace\'s.')
param location string

@description('Required. Tags of the rule.')
param tags object

@description('Required. Resource id of the workspace.')
param workspaceId string

@description('Required. Name of the table, which must exist before the rule.')
param tableName string

var schema = loadJsonContent('../../nsgflow_core/schema.json')

resource rule 'Microsoft.Insights/dataCollectionRules@2024-03-11' = {
  name: name
  location: location
  tags: tags
  kind: 'Direct'
  properties: {
    description: 'Takes flows from nsgflow.'
    streamDeclarations: {
      '${schema.stream}': {
        columns: map(schema.columns, column => { name: column.name, type: column.type })
      }
    }
    destinations: {
      logAnalytics: [{ name: 'workspace', workspaceResourceId: workspaceId }]
    }
    dataFlows: [
      {
        streams: [schema.stream]
        destinations: ['workspace']
        transformKql: 'source'
        outputStream: 'Custom-${tableName}'
      }
    ]
  }
}

@description('Resource id of the rule.')
output resourceId string = rule.id

@description('Immutable id, which callers of the Logs Ingestion API name.')
output immutableId string = rule.properties.immutableId

@description('Logs Ingestion endpoint of the rule.')
output endpoint string = rule.properties.endpoints.logsIngestion

@description('Stream that rows are sent to.')
output stream string = schema.stream
