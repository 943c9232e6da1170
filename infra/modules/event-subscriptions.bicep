metadata name = 'Event subscriptions'
metadata description = 'Two event subscriptions of one system topic: each kind of flow log to its function.'

@description('Required. Name of the system topic, in the resource group that this module is deployed to.')
param systemTopicName string

@description('Required. Name of the connection.')
param connection string

@description('Required. Name of the app.')
param appName string

@description('Required. Host name of the app.')
param hostName string

@description('Required. The app\'s system key blobs_extension.')
@secure()
param key string

@description('Required. Storage account for events that cannot be delivered, or empty to drop them.')
param deadLetterStorageId string

@description('Required. Container for events that cannot be delivered.')
param deadLetterContainer string

// function_app.py registers the functions <kind>_<connection>.
var kinds = [
  { kind: 'nsg', container: 'insights-logs-networksecuritygroupflowevent' }
  { kind: 'vnet', container: 'insights-logs-flowlogflowevent' }
]

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: systemTopicName
}

resource subscriptions 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = [
  for item in kinds: {
    parent: topic
    // Letters, digits and hyphens only; an account may serve more than one app.
    name: take('${appName}-${item.kind}-${replace(connection, '_', '-')}', 64)
    properties: {
      eventDeliverySchema: 'EventGridSchema'
      destination: {
        endpointType: 'WebHook'
        properties: {
          endpointUrl: 'https://${hostName}/runtime/webhooks/blobs?functionName=Host.Functions.${item.kind}_${connection}&code=${key}'
          maxEventsPerBatch: 1
          preferredBatchSizeInKilobytes: 64
        }
      }
      filter: {
        includedEventTypes: ['Microsoft.Storage.BlobCreated']
        subjectBeginsWith: '/blobServices/default/containers/${item.container}/blobs/'
        subjectEndsWith: '/PT1H.json'
      }
      retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }
      deadLetterWithResourceIdentity: empty(deadLetterStorageId)
        ? null
        : {
            identity: { type: 'SystemAssigned' }
            deadLetterDestination: {
              endpointType: 'StorageBlob'
              properties: {
                resourceId: deadLetterStorageId
                blobContainerName: deadLetterContainer
              }
            }
          }
    }
  }
]
