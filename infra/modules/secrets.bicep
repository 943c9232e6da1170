metadata name = 'Secrets'
metadata description = 'The Key Vault with the webhook\'s URL, secret and headers, and the app\'s right to read them.'

@description('Required. Name of the vault.')
param vaultName string

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

@description('Required. Headers that go with every alert, or none.')
@secure()
param webhookHeaders object

@description('Required. Whether a deleted vault stays until its time is over, whoever asks.')
param purgeProtection bool

@description('Required. Whether to take back a deleted vault of this name.')
param recover bool

@description('Required. Whether only a private endpoint and trusted Azure services reach the vault.')
param privateNetworking bool

@description('Required. Object id of the app\'s identity.')
param principalId string

@description('Required. Role of the app on the vault.')
param roleId string

@description('Required. Workspace that the vault sends its diagnostics to, or empty for none.')
param diagnosticsWorkspaceId string

module vault 'key-vault.bicep' = {
  name: 'nsgflow-key-vault'
  params: {
    name: vaultName
    location: location
    tags: tags
    purgeProtection: purgeProtection
    recover: recover
    privateNetworking: privateNetworking
    diagnosticsWorkspaceId: diagnosticsWorkspaceId
  }
}

module role 'role-assignment.json' = {
  name: 'nsgflow-role-key-vault'
  params: {
    scope: resourceId('Microsoft.KeyVault/vaults', vaultName)
    roleId: roleId
    principalId: principalId
  }
  dependsOn: [vault]
}

module url 'secret.bicep' = if (!empty(webhookUrl)) {
  name: 'nsgflow-secret-url'
  params: {
    vaultName: vaultName
    name: 'webhook-url'
    value: webhookUrl
  }
  dependsOn: [vault]
}

module secret 'secret.bicep' = if (!empty(webhookSecret)) {
  name: 'nsgflow-secret-secret'
  params: {
    vaultName: vaultName
    name: 'webhook-secret'
    value: webhookSecret
  }
  dependsOn: [vault]
}

module headers 'secret.bicep' = if (!empty(webhookHeaders)) {
  name: 'nsgflow-secret-headers'
  params: {
    vaultName: vaultName
    name: 'webhook-headers'
    value: string(webhookHeaders)
  }
  dependsOn: [vault]
}

@description('Resource id of the vault.')
output vaultId string = vault.outputs.resourceId

@description('URI of the secret with the webhook\'s URL, or empty for none.')
output webhookUrlUri string = url.?outputs.uri ?? ''

@description('URI of the secret that signs the alerts, or empty for none.')
output webhookSecretUri string = secret.?outputs.uri ?? ''

@description('URI of the secret with the headers, or empty for none.')
output webhookHeadersUri string = headers.?outputs.uri ?? ''
