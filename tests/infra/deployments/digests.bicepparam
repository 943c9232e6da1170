using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
  }
]
param webhookUrl = 'https://hooks.example.org/url-of-the-webhook'
param webhookFormat = 'slack'
param webhookIntervalSeconds = 60
param webhookRepeatMinutes = 30
param webhookQuietMinutes = 60
param webhookMaxAgeMinutes = 120
