using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
  }
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network-north/providers/Microsoft.Storage/storageAccounts/flowlogsnorth'
  }
  {
    resourceId: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/otherslogs'
  }
]
param triggerSource = 'Queue'
param privateNetworking = true
