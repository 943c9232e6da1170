using '../../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
    connection: 'AzureWebjobsStorage'
  }
]
param triggerSource = 'Queue'
