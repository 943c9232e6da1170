using '../../../../infra/events.bicep'

param appName = 'func-app'
param resourceGroupName = 'rg-prod'
param deadLetterStorageId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-prod/providers/Microsoft.Storage/storageAccounts/state'
param deadLetterContainer = 'eventgrid-deadletter'
param sources = [
  {
    connection: 'FlowLogs'
    subscriptionId: '11111111-1111-1111-1111-111111111111'
    resourceGroup: 'network'
    systemTopicName: 'egst-flowlogswest'
    deadLetter: true
  }
  {
    connection: 'FlowLogs2'
    subscriptionId: '11111111-1111-1111-1111-111111111111'
    resourceGroup: 'network'
    systemTopicName: 'egst-flowlogswest'
    deadLetter: false
  }
]
param alertRules = {
  enabled: true
  location: 'westeurope'
  tags: {}
  workspaceId: '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-prod/providers/Microsoft.OperationalInsights/workspaces/log'
  insightsId: '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-prod/providers/Microsoft.Insights/components/appi'
  actionGroupId: ''
  connectionCount: 2
  rowAlerts: true
  options: {}
}
