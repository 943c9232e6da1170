metadata name = 'System topic'
metadata description = 'The Event Grid system topic of a storage account: a new one, or the one that exists.'

@description('Required. Name of the topic.')
param name string

@description('Required. Whether the topic exists; then it is only read.')
param exists bool

@description('Required. Whether an existing topic has a system-assigned identity.')
param existingHasIdentity bool

@description('Required. Region of a new topic, which must be the account\'s.')
param location string

@description('Required. Tags of a new topic.')
param tags object

@description('Required. Resource id of the storage account.')
param storageId string

@description('Required. Workspace that a new topic sends its diagnostics to, or empty for none.')
param diagnosticsWorkspaceId string

resource existingTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (exists) {
  name: name
}

resource newTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (!exists) {
  name: name
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: storageId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!exists && !empty(diagnosticsWorkspaceId)) {
  scope: newTopic
  name: 'nsgflow'
  properties: {
    workspaceId: diagnosticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Object id of the topic\'s identity, or empty when it has none.')
output principalId string = !exists
  ? newTopic!.identity.principalId
  : (existingHasIdentity ? existingTopic!.identity.principalId : '')
