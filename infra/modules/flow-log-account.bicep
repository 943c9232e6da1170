metadata name = 'Flow-log account'
metadata description = 'An existing account with flow logs: what the app may do there, and where it is.'

@description('Required. Name of the account, in the resource group that this module is deployed to.')
param accountName string

@description('Required. Object id of the app\'s identity.')
param principalId string

@description('Required. Roles of the app on the account: ids of built-in roles.')
param roleIds string[]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: accountName
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for roleId in roleIds: {
    scope: account
    name: guid(account.id, principalId, roleId)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]

@description('Resource id of the account as Azure writes it: a topic\'s source may not change, not even its case.')
output resourceId string = account.id

@description('Region of the account.')
output location string = account.location

@description('Blob service of the account.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('Queue service of the account.')
output queueEndpoint string = account.properties.primaryEndpoints.queue
