metadata name = 'Key Vault'
metadata description = 'The webhook\'s URL and signing secret, which settings of the app refer to.'

@description('Required. Name of the vault.')
param name string

@description('Required. Region of the vault.')
param location string

@description('Required. Tags of the vault.')
param tags object

@description('Required. URL of the webhook, or empty for none.')
@secure()
param webhookUrl string

@description('Required. Secret that signs the alerts, or empty for none.')
@secure()
param webhookSecret string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    // Every deployment writes the secrets anew, so purge protection would save nothing and
    // would block the name for a week after an uninstall.
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    publicNetworkAccess: 'Enabled'
  }

  resource url 'secrets' = if (!empty(webhookUrl)) {
    name: 'webhook-url'
    properties: { value: webhookUrl }
  }

  resource secret 'secrets' = if (!empty(webhookSecret)) {
    name: 'webhook-secret'
    properties: { value: webhookSecret }
  }
}

@description('Resource id of the vault.')
output resourceId string = vault.id

@description('URI of the vault, with a slash at the end.')
output uri string = vault.properties.vaultUri
