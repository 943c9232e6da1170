metadata name = 'Secret'
metadata description = 'One secret of the Key Vault.'

@description('Required. Name of the vault.')
param vaultName string

@description('Required. Name of the secret.')
param name string

@description('Required. Value of the secret.')
@secure()
param value string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: name
  properties: { value: value }
}

// With its version: a setting that stays as it was is resolved anew only once a day.
@description('URI of this version of the secret.')
output uri string = secret.properties.secretUriWithVersion
