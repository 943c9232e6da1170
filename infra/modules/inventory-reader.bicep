metadata name = 'Inventory reader'
metadata description = 'Reader on one subscription, for names of NSGs, virtual machines and subnets from Resource Graph.'

targetScope = 'subscription'

@description('Required. Object id of the identity that reads.')
param principalId string

var reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, principalId, reader)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', reader)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
