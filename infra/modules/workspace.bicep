metadata name = 'Workspace'
metadata description = 'The Log Analytics workspace: a new one, or one that exists.'

@description('Required. Name of the workspace.')
param name string

@description('Required. Whether the workspace exists; then it is only read.')
param exists bool

@description('Required. Region of a new workspace.')
param location string

@description('Required. Tags of a new workspace.')
param tags object

resource existingWorkspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = if (exists) {
  name: name
}

resource newWorkspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = if (!exists) {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 30
    features: { disableLocalAuth: true }
  }
}

@description('Resource id of the workspace.')
output resourceId string = resourceId('Microsoft.OperationalInsights/workspaces', name)

@description('Region of the workspace, which the data collection rule and the alerts follow.')
output location string = exists ? existingWorkspace!.location : newWorkspace!.location
