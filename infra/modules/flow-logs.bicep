metadata name = 'Flow logs'
metadata description = 'Everything beside the flow logs: what the app may do with each account, its system topic, and what the topic may do with host storage.'

targetScope = 'subscription'

import { connectionName } from '../checks.bicep'
import { flowLogAccount } from '../types.bicep'

@description('Required. The accounts with flow logs.')
param accounts flowLogAccount[]

@description('Required. What makes the names of deployments differ from those of another nsgflow.')
param token string

@description('Required. Tags of new topics.')
param tags object

@description('Required. Name of the app.')
param appName string

@description('Required. Object id of the app\'s identity.')
param principalId string

@description('Required. Roles of the app on the accounts: ids of built-in roles.')
param roleIds string[]

@description('Required. Resource group of host storage, in nsgflow\'s subscription.')
param resourceGroupName string

@description('Required. Resource id of host storage.')
param hostStorageId string

@description('Required. Container there for events that cannot be delivered.')
param deadLetterContainer string

@description('Required. Queue there that events are delivered to, or empty where Event Grid calls the app.')
param eventsQueue string

@description('Required. Workspace that topics send their diagnostics to, or empty for none.')
param diagnosticsWorkspaceId string

// Storage Blob Data Contributor, and Storage Queue Data Message Sender.
var deadLetterRoleId = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var senderRoleId = 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'

var abbreviations = loadJsonContent('../abbreviations.json')
var parsed = map(range(0, length(accounts)), index => {
  subscriptionId: split(accounts[index].resourceId, '/')[2]
  resourceGroup: split(accounts[index].resourceId, '/')[4]
  name: toLower(last(split(accounts[index].resourceId, '/')))
  connection: connectionName(accounts[index], index)
  hasTopic: accounts[index].?systemTopicName != null
  hasIdentity: accounts[index].?systemTopicName == null || (accounts[index].?systemTopicHasIdentity ?? false)
  topicName: accounts[index].?systemTopicName ?? '${abbreviations.eventGridSystemTopic}${toLower(last(split(accounts[index].resourceId, '/')))}'
  topicResourceGroup: accounts[index].?systemTopicResourceGroup ?? split(accounts[index].resourceId, '/')[4]
})

module flowLogs 'flow-log-account.bicep' = [
  for account in parsed: {
    name: take('nsgflow-logs-${account.name}-${token}', 64)
    scope: resourceGroup(account.subscriptionId, account.resourceGroup)
    params: {
      accountName: account.name
      principalId: principalId
      roleIds: roleIds
    }
  }
]

module topics 'system-topic.bicep' = [
  for (account, index) in parsed: {
    name: take('nsgflow-topic-${account.name}-${token}', 64)
    // A topic must be in its source's subscription, and a new one goes beside its source.
    scope: resourceGroup(account.subscriptionId, account.topicResourceGroup)
    params: {
      name: account.topicName
      exists: account.hasTopic
      existingHasIdentity: account.hasIdentity
      location: flowLogs[index].outputs.location
      tags: tags
      storageId: flowLogs[index].outputs.resourceId
      diagnosticsWorkspaceId: diagnosticsWorkspaceId
    }
  }
]

module deadLetterRoles 'role-assignment.json' = [
  for (account, index) in parsed: if (account.hasIdentity) {
    name: take('nsgflow-dead-letter-${account.connection}-${token}', 64)
    scope: resourceGroup(resourceGroupName)
    params: {
      scope: hostStorageId
      roleId: deadLetterRoleId
      principalId: topics[index].outputs.principalId
    }
  }
]

module senderRoles 'role-assignment.json' = [
  for (account, index) in parsed: if (!empty(eventsQueue)) {
    name: take('nsgflow-sender-${account.connection}-${token}', 64)
    scope: resourceGroup(resourceGroupName)
    params: {
      scope: hostStorageId
      roleId: senderRoleId
      principalId: account.hasIdentity
        ? topics[index].outputs.principalId
        : fail('Events by queue need the identity of the system topic ${account.topicName}: az eventgrid system-topic update --identity systemassigned, then systemTopicHasIdentity true')
    }
  }
]

module queueSubscriptions 'event-subscriptions.bicep' = [
  for account in parsed: if (!empty(eventsQueue)) {
    name: take('nsgflow-events-${account.connection}-${token}', 64)
    scope: resourceGroup(account.subscriptionId, account.topicResourceGroup)
    params: {
      systemTopicName: account.topicName
      connection: account.connection
      appName: appName
      queueStorageId: hostStorageId
      queueName: eventsQueue
      deadLetterStorageId: account.hasIdentity ? hostStorageId : ''
      deadLetterContainer: deadLetterContainer
    }
    dependsOn: [topics, senderRoles, deadLetterRoles]
  }
]

@description('The accounts as the app connects to them: name, blob and queue service.')
output connections array = [
  for (account, index) in parsed: {
    name: account.connection
    blobEndpoint: flowLogs[index].outputs.blobEndpoint
    queueEndpoint: flowLogs[index].outputs.queueEndpoint
  }
]

@description('The system topics and their connections.')
output sources array = [
  for account in parsed: {
    connection: account.connection
    subscriptionId: account.subscriptionId
    resourceGroup: account.topicResourceGroup
    systemTopicName: account.topicName
    deadLetter: account.hasIdentity
  }
]
