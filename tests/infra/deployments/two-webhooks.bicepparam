using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
  }
]
param webhookUrlSecretUri = 'https://theirs.vault.azure.net/secrets/webhook-url'
param appSettings = {
  NSGFLOW_WEBHOOK_2_URL: '@Microsoft.KeyVault(SecretUri=https://theirs.vault.azure.net/secrets/slack-url)'
  NSGFLOW_WEBHOOK_2_FORMAT: 'slack'
  NSGFLOW_WEBHOOK_2_INTERVAL_SECONDS: 60
}
