using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
  }
]
param webhookUrlSecretUri = 'https://theirs.vault.azure.net/secrets/webhook-url'
param webhookSecretSecretUri = 'https://theirs.vault.azure.net/secrets/webhook-secret'
param webhookVaultId = '/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/secrets/providers/Microsoft.KeyVault/vaults/theirs'
