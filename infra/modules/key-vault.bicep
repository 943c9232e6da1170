metadata name = 'Key Vault'
metadata description = 'The vault of the webhook\'s URL and secret; it is made only when there is one.'

@description('Required. Name of the vault.')
param name string

@description('Required. Region of the vault.')
param location string

@description('Required. Tags of the vault.')
param tags object

@description('Required. Whether a deleted vault stays until its time is over, whoever asks. It cannot be taken back.')
param purgeProtection bool

@description('Required. Whether to take back a deleted vault of this name.')
param recover bool

@description('Required. Whether only a private endpoint and trusted Azure services reach the vault.')
param privateNetworking bool

@description('Required. Workspace that the vault sends its diagnostics to, or empty for none.')
param diagnosticsWorkspaceId string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    createMode: recover ? 'recover' : 'default'
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetworking ? 'Deny' : 'Allow'
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(diagnosticsWorkspaceId)) {
  scope: vault
  name: 'nsgflow'
  properties: {
    workspaceId: diagnosticsWorkspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the vault.')
output resourceId string = vault.id
