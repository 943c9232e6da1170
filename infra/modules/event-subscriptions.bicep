metadata name = 'Event subscriptions'
metadata description = 'Two event subscriptions of one system topic: each kind of flow log to its function, or both to the queue.'

import { logKinds } from '../types.bicep'

@description('Required. Name of the system topic, in the resource group that this module is deployed to.')
param systemTopicName string

@description('Required. Name of the connection.')
param connection string

@description('Required. Name of the app.')
param appName string

@description('Optional. Host name of the app, which is called; with a queue it is not needed.')
param hostName string = ''

@description('Optional. The app\'s system key blobs_extension; with a queue it is not needed.')
@secure()
param key string = ''

@description('Optional. Storage account with the queue that the topic\'s identity writes to. The default is to call the app.')
param queueStorageId string = ''

@description('Optional. Name of the queue.')
param queueName string = ''

@description('Required. Storage account for events that cannot be delivered, or empty to drop them.')
param deadLetterStorageId string

@description('Required. Container for events that cannot be delivered.')
param deadLetterContainer string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: systemTopicName
}

// The names are the same for either way of delivery: changing over leaves none behind.
resource subscriptions 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = [
  for item in logKinds: {
    parent: topic
    // Letters, digits and hyphens only, 64 of them; an account may serve more than one app.
    name: '${appName}-${item.kind}-${replace(connection, '_', '-')}'
    properties: {
      eventDeliverySchema: 'EventGridSchema'
      destination: !empty(queueStorageId)
        ? null
        : {
            endpointType: 'WebHook'
            properties: {
              #disable-next-line use-secure-value-for-secure-inputs // the key is secure; interpolation loses the mark
              endpointUrl: 'https://${hostName}/runtime/webhooks/blobs?functionName=Host.Functions.${item.kind}_${connection}&code=${key}'
              maxEventsPerBatch: 1
              preferredBatchSizeInKilobytes: 64
            }
          }
      deliveryWithResourceIdentity: empty(queueStorageId)
        ? null
        : {
            // Behind a firewall Event Grid is let in by this kind of identity only.
            identity: { type: 'SystemAssigned' }
            destination: {
              endpointType: 'StorageQueue'
              properties: {
                resourceId: queueStorageId
                queueName: queueName
              }
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
