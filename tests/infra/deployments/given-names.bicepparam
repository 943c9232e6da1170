using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
  }
]
param resourceGroupName = 'network-flows'
param names = {
  identity: 'mi-flows'
  storageAccount: 'flowsstate'
  plan: 'plan-flows'
  functionApp: 'fn-flows'
  applicationInsights: 'ai-flows'
  workspace: 'law-flows'
  keyVault: 'vault-flows'
  dataCollectionRule: 'rule-flows'
  actionGroup: 'tell-flows'
  virtualNetwork: 'net-flows'
  privateEndpoint: 'pe-flows'
}
param alertEmails = ['noc@example.org']
param privateNetworking = true
param webhookUrl = 'https://hooks.example.org/url-of-the-webhook'
