metadata name = 'nsgflow events'
metadata description = 'The event subscriptions, which need the app\'s key: deployed after the code, by the postdeploy hook.'

targetScope = 'subscription'

import { eventSource } from './types.bicep'

@description('Required. Name of the app.')
param appName string

@description('Required. Resource group of the app.')
param resourceGroupName string

@description('Required. Resource id of the host storage, for events that cannot be delivered.')
param deadLetterStorageId string

@description('Required. Container there.')
param deadLetterContainer string

@description('Required. System topics to subscribe to: the output of main.bicep.')
param sources eventSource[]

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
