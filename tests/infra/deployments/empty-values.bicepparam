using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
  }
]
param resourceGroupName = ''
param namePrefix = ''
param serviceTags = ''
param logsFilter = ''
param logsOmit = ''
param workspaceId = ''
param applicationInsightsId = ''
param webhookUrlSecretUri = ''
param webhookSecretSecretUri = ''
param webhookVaultId = ''
param webhookFormat = ''
param webhookFilter = ''
param appSubnetId = ''
param endpointSubnetId = ''
