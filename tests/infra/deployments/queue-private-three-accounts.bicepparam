using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
  }
  {
    resourceId: '/SUBSCRIPTIONS/11111111-1111-1111-1111-111111111111/RESOURCEGROUPS/Network/PROVIDERS/microsoft.storage/STORAGEACCOUNTS/FlowLogsNorth'
  }
  {
    resourceId: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/us/providers/Microsoft.Storage/storageAccounts/flowlogsus'
    connection: 'UnitedStates'
    systemTopicName: 'topic-of-theirs'
    systemTopicResourceGroup: 'events'
    systemTopicHasIdentity: true
  }
]
param triggerSource = 'Queue'
param privateNetworking = true
