metadata name = 'nsgflow after the code'
metadata description = 'What waits for the code: the event subscriptions, which need the app\'s key, and the alert rules, which would find the app quiet before it first ran.'

targetScope = 'subscription'

import { alertSettings, eventSource } from './types.bicep'

@description('Required. Name of the app.')
param appName string

@description('Required. Resource group of the app.')
param resourceGroupName string

@description('Required. Resource id of the host storage, for events that cannot be delivered.')
param deadLetterStorageId string

@description('Required. Container there.')
param deadLetterContainer string

@description('Optional. System topics to subscribe to: an output of main.bicep. With events by queue there are none, since main.bicep subscribes the queue.')
param sources eventSource[] = []

@description('Optional. The alert rules: an output of main.bicep. The default is to make and change none.')
param alertRules alertSettings?

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  scope: resourceGroup(resourceGroupName)
  name: appName
}

// The host makes the key when it first starts with a blob trigger; before that, this fails.
module subscriptions 'modules/event-subscriptions.bicep' = [
  for source in sources: {
    name: take('nsgflow-events-${source.connection}', 64)
    scope: resourceGroup(source.subscriptionId, source.resourceGroup)
    params: {
      systemTopicName: source.systemTopicName
      connection: source.connection
      appName: appName
      hostName: app.properties.defaultHostName
      key: listKeys('${app.id}/host/default', app.apiVersion).systemKeys.blobs_extension
      deadLetterStorageId: source.deadLetter ? deadLetterStorageId : ''
      deadLetterContainer: deadLetterContainer
    }
  }
]

module rules 'modules/alerts.bicep' = if (alertRules.?enabled ?? false) {
  name: 'nsgflow-alerts'
  scope: resourceGroup(resourceGroupName)
  params: { settings: alertRules! }
}
