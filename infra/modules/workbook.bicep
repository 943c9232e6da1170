metadata name = 'Workbook'
metadata description = 'The workbook that an engineer opens first.'

@description('Required. Region of the workbook.')
param location string

@description('Required. Tags of the workbook.')
param tags object

@description('Required. Resource id of the workspace that it asks.')
param workspaceId string

@description('Required. Resource id of Application Insights, whose lines are the pipeline\'s health.')
param insightsId string

var content = loadTextContent('../workbook/nsgflow.workbook.json')

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'nsgflow-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'nsgflow: denied flows'
    category: 'workbook'
    version: '1.0'
    sourceId: workspaceId
    serializedData: replace(replace(content, '{{workspaceId}}', workspaceId), '{{insightsId}}', insightsId)
  }
}

@description('Resource id of the workbook.')
output resourceId string = workbook.id
