metadata name = 'nsgflow'
metadata description = 'nsgflow next to flow logs that exist: everything but the event subscriptions, which events.bicep adds once the code is there.'

targetScope = 'subscription'

import { alertOptions, flowLogAccount } from './types.bicep'

@description('Required. Name of the environment; it is part of the names.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Required. Region of everything that is made, except what must be where something existing is.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Required. The storage accounts with flow logs.')
@minLength(1)
param flowLogAccounts flowLogAccount[]

@description('Optional. Name of the resource group. The default comes from the environment\'s name.')
param resourceGroupName string = ''

@description('Optional. Tags of everything that is made.')
param tags object = {}

@description('Optional. Give the app the roles that the trigger\'s documentation names on the flow-log accounts (Storage Blob Data Owner and Storage Queue Data Contributor) and put poison messages there. The default is to read only, with poison messages in host storage.')
param documentedTriggerRoles bool = false

@description('Optional. Ask Resource Graph for the names of NSGs, virtual machines and subnets: VNet flow logs name NSGs only by GUID.')
param inventoryEnabled bool = true

@description('Optional. Ids (GUIDs) of subscriptions that the app gets Reader on, for the inventory. The default is the subscriptions of the flow-log accounts.')
param inventoryScopes string[] = []

@description('Optional. Source of service tags: an https URL or path of Microsoft\'s ServiceTags JSON, or arm. The default is none.')
param serviceTags string = ''

@description('Optional. Filter terms of what goes to the table.')
param logsFilter string = 'action=denied'

@description('Optional. Resource id of an existing workspace. The default is a new one.')
param workspaceId string = ''

@description('Optional. Plan of the table. With Basic, rules over rows, saved functions and the workbook\'s first tab do not work.')
@allowed(['Analytics', 'Basic'])
param tablePlan string = 'Analytics'

@description('Optional. Days that rows are kept for queries.')
@minValue(4)
@maxValue(730)
param retentionInDays int = 30

@description('Optional. Days that rows are kept in all, or -1 for retentionInDays.')
@minValue(-1)
@maxValue(4383)
param totalRetentionInDays int = -1

@description('Optional. URL of the webhook that alerts go to. A URL is a secret: it is kept in Key Vault. The default is none.')
@secure()
param webhookUrl string = ''

@description('Optional. Secret that signs alerts: whsec_ and base64; with pagerduty the routing key. It is kept in Key Vault. The default is none.')
@secure()
param webhookSecret string = ''

@description('Optional. Format of the webhook\'s alerts: cloudevents, slack, teams or pagerduty.')
param webhookFormat string = 'cloudevents'

@description('Optional. Filter terms of which denied flows alert.')
param webhookFilter string = 'action=denied'

@description('Optional. Age in minutes past which flows do not alert; 0 for no limit.')
@minValue(0)
param webhookMaxAgeMinutes int = 0

@description('Optional. Seconds in which at most one digest is sent, with the formats for people.')
@minValue(1)
@maxValue(86400)
param webhookIntervalSeconds int = 30

@description('Optional. Minutes in which a digest does not repeat what was told, with the formats for people.')
@minValue(0)
@maxValue(10080)
param webhookRepeatMinutes int = 15

@description('Optional. Hours that the sweep looks back.')
@minValue(1)
@maxValue(720)
param sweepHours int = 3

@description('Optional. Days after which checkpoints are deleted.')
@minValue(1)
@maxValue(3650)
param stateDays int = 30

@description('Optional. Days after which dead letters are deleted.')
@minValue(1)
param deadLetterRetentionDays int = 30

@description('Optional. Version of Python.')
@allowed(['3.11', '3.12', '3.13', '3.14'])
param pythonVersion string = '3.13'

@description('Optional. Memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

// The service's own lower limit was 40 and has come down since; 1 was not tried.
@description('Optional. The most instances that the app may run on.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Optional. Instances that are kept ready for events, which saves the cold start and costs by the hour.')
@minValue(0)
param alwaysReadyInstances int = 0

@description('Optional. Whether to make the alert rules.')
param alertsEnabled bool = true

@description('Optional. E-mail addresses that the rules tell.')
param alertEmails string[] = []

@description('Optional. Webhook that the rules tell, with the common alert schema. The default is none.')
@secure()
param alertWebhookUrl string = ''

@description('Optional. Switches and thresholds of the rules.')
param alerts alertOptions = {}

@description('Optional. Private mode: the app goes out through a virtual network, storage is reached by private endpoints, and only Event Grid gets in.')
param privateNetworking bool = false

@description('Optional. Address space of the virtual network, /25 or larger.')
param privateAddressPrefix string = '10.190.0.0/24'

@description('Optional. Whether private mode makes the private DNS zones. With false, something else, such as a policy, registers the endpoints.')
param privateDnsZonesEnabled bool = true

var abbreviations = loadJsonContent('./abbreviations.json')
var token = toLower(uniqueString(subscription().id, environmentName, location))
var allTags = union(tags, { 'azd-env-name': environmentName })

var deploymentContainer = 'app-package'
var stateContainer = 'nsgflow-state'
var stateTable = 'nsgflowcheckpoints'
var eventDeadLetterContainer = 'eventgrid-deadletter'

// Built-in roles; the ids are the same in every tenant.
var roleIds = {
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  storageBlobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  storageBlobDataReader: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}

var accounts = map(range(0, length(flowLogAccounts)), index => {
  resourceId: flowLogAccounts[index].resourceId
  subscriptionId: split(flowLogAccounts[index].resourceId, '/')[2]
  resourceGroup: split(flowLogAccounts[index].resourceId, '/')[4]
  name: last(split(flowLogAccounts[index].resourceId, '/'))
  connection: flowLogAccounts[index].?connection ?? (index == 0 ? 'FlowLogs' : 'FlowLogs${index + 1}')
  hasTopic: flowLogAccounts[index].?systemTopicName != null
  topicHasIdentity: flowLogAccounts[index].?systemTopicHasIdentity ?? false
  topicName: flowLogAccounts[index].?systemTopicName ?? '${abbreviations.eventGridSystemTopic}${last(split(flowLogAccounts[index].resourceId, '/'))}'
  topicResourceGroup: flowLogAccounts[index].?systemTopicResourceGroup ?? split(flowLogAccounts[index].resourceId, '/')[4]
})
var accountSubscriptions = map(accounts, account => account.subscriptionId)
var inventorySubscriptions = !inventoryEnabled
  ? []
  : (empty(inventoryScopes) ? union(accountSubscriptions, accountSubscriptions) : inventoryScopes)

// The app only ever reads flow logs. That reading is enough rests on the trigger's source: with
// Event Grid it writes no receipts and takes no lease there, and its queues are where the
// connection's queue service points, which is host storage. The documentation names wider roles.
var flowLogRoleIds = documentedTriggerRoles
  ? [roleIds.storageBlobDataOwner, roleIds.storageQueueDataContributor]
  : [roleIds.storageBlobDataReader]

var workspaceExists = !empty(workspaceId)
var workspaceName = workspaceExists ? last(split(workspaceId, '/')) : '${abbreviations.logAnalyticsWorkspace}${token}'

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: empty(resourceGroupName) ? '${abbreviations.resourceGroup}${environmentName}' : resourceGroupName
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  name: 'nsgflow-identity'
  scope: group
  params: {
    name: '${abbreviations.userAssignedIdentity}${token}'
    location: location
    tags: allTags
  }
}

module hostStorage 'modules/host-storage.bicep' = {
  name: 'nsgflow-host-storage'
  scope: group
  params: {
    name: '${abbreviations.storageAccount}${token}'
    location: location
    tags: allTags
    deploymentContainer: deploymentContainer
    stateContainer: stateContainer
    stateTable: stateTable
    eventDeadLetterContainer: eventDeadLetterContainer
    deadLetterRetentionDays: deadLetterRetentionDays
    privateNetworking: privateNetworking
  }
}

module workspace 'modules/workspace.bicep' = {
  name: 'nsgflow-workspace'
  scope: resourceGroup(
    workspaceExists ? split(workspaceId, '/')[2] : subscription().subscriptionId,
    workspaceExists ? split(workspaceId, '/')[4] : group.name
  )
  params: {
    name: workspaceName
    exists: workspaceExists
    location: location
    tags: allTags
  }
}

module table 'modules/table.bicep' = {
  name: 'nsgflow-table'
  scope: resourceGroup(
    workspaceExists ? split(workspaceId, '/')[2] : subscription().subscriptionId,
    workspaceExists ? split(workspaceId, '/')[4] : group.name
  )
  params: {
    workspaceName: workspaceName
    plan: tablePlan
    retentionInDays: retentionInDays
    totalRetentionInDays: totalRetentionInDays
  }
  dependsOn: [workspace]
}

module dataCollectionRule 'modules/data-collection-rule.bicep' = {
  name: 'nsgflow-data-collection-rule'
  scope: group
  params: {
    name: '${abbreviations.dataCollectionRule}${token}'
    location: workspace.outputs.location
    tags: allTags
    workspaceId: workspace.outputs.resourceId
    tableName: table.outputs.name
  }
}

module applicationInsights 'modules/application-insights.bicep' = {
  name: 'nsgflow-application-insights'
  scope: group
  params: {
    name: '${abbreviations.applicationInsights}${token}'
    location: location
    tags: allTags
    workspaceId: workspace.outputs.resourceId
  }
}

module keyVault 'modules/key-vault.bicep' = {
  name: 'nsgflow-key-vault'
  scope: group
  params: {
    name: '${abbreviations.keyVault}${token}'
    location: location
    tags: allTags
    webhookUrl: webhookUrl
    webhookSecret: webhookSecret
  }
}

// Everything that the app may do with resources of its own.
var roleTargets = {
  hostStorage: hostStorage.outputs.resourceId
  applicationInsights: applicationInsights.outputs.resourceId
  dataCollectionRule: dataCollectionRule.outputs.resourceId
  keyVault: keyVault.outputs.resourceId
}

module roles 'modules/role-assignment.json' = [
  for (role, index) in [
    { target: 'hostStorage', id: roleIds.storageBlobDataOwner }
    { target: 'hostStorage', id: roleIds.storageQueueDataContributor }
    { target: 'hostStorage', id: roleIds.storageTableDataContributor }
    { target: 'applicationInsights', id: roleIds.monitoringMetricsPublisher }
    { target: 'dataCollectionRule', id: roleIds.monitoringMetricsPublisher }
    { target: 'keyVault', id: roleIds.keyVaultSecretsUser }
  ]: {
    name: 'nsgflow-role-${index}'
    scope: group
    params: {
      scope: roleTargets[role.target]
      roleId: role.id
      principalId: identity.outputs.principalId
    }
  }
]

module inventoryReaders 'modules/inventory-reader.bicep' = [
  for id in inventorySubscriptions: {
    name: 'nsgflow-inventory-${token}'
    scope: subscription(id)
    params: { principalId: identity.outputs.principalId }
  }
]

module flowLogs 'modules/flow-log-account.bicep' = [
  for account in accounts: {
    name: take('nsgflow-logs-${account.name}-${token}', 64)
    scope: resourceGroup(account.subscriptionId, account.resourceGroup)
    params: {
      accountName: account.name
      principalId: identity.outputs.principalId
      roleIds: flowLogRoleIds
    }
  }
]

module topics 'modules/system-topic.bicep' = [
  for (account, index) in accounts: {
    name: take('nsgflow-topic-${account.name}-${token}', 64)
    // A topic must be in its source's subscription, and a new one goes beside its source.
    scope: resourceGroup(account.subscriptionId, account.topicResourceGroup)
    params: {
      name: account.topicName
      exists: account.hasTopic
      existingHasIdentity: account.topicHasIdentity
      location: flowLogs[index].outputs.location
      tags: allTags
      storageId: account.resourceId
    }
  }
]

module deadLetterRoles 'modules/role-assignment.json' = [
  for (account, index) in accounts: if (!account.hasTopic || account.topicHasIdentity) {
    name: take('nsgflow-dead-letter-${account.connection}', 64)
    scope: group
    params: {
      scope: hostStorage.outputs.resourceId
      roleId: roleIds.storageBlobDataContributor
      principalId: topics[index].outputs.principalId
    }
  }
]

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'nsgflow-network'
  scope: group
  params: {
    name: '${abbreviations.virtualNetwork}${token}'
    location: location
    tags: allTags
    addressPrefix: privateAddressPrefix
    createDnsZones: privateDnsZonesEnabled
  }
}

module hostEndpoints 'modules/private-endpoint.bicep' = [
  for service in ['blob', 'queue', 'table']: if (privateNetworking) {
    name: 'nsgflow-endpoint-${service}'
    scope: group
    params: {
      name: '${abbreviations.privateEndpoint}${token}-${service}'
      location: location
      tags: allTags
      subnetId: network!.outputs.endpointSubnetId
      storageId: hostStorage.outputs.resourceId
      service: service
      zoneId: network!.outputs.zoneIds[service]
    }
  }
]

// The queue service of a flow-log account is asked only with the documented roles.
module flowLogEndpoints 'modules/private-endpoint.bicep' = [
  for account in accounts: if (privateNetworking) {
    name: take('nsgflow-endpoint-logs-${account.name}', 64)
    scope: group
    params: {
      name: '${abbreviations.privateEndpoint}${token}-${account.name}'
      location: location
      tags: allTags
      subnetId: network!.outputs.endpointSubnetId
      storageId: account.resourceId
      service: 'blob'
      zoneId: network!.outputs.zoneIds.blob
    }
  }
]

module flowLogQueueEndpoints 'modules/private-endpoint.bicep' = [
  for account in accounts: if (privateNetworking && documentedTriggerRoles) {
    name: take('nsgflow-endpoint-queue-${account.name}', 64)
    scope: group
    params: {
      name: '${abbreviations.privateEndpoint}${token}-${account.name}-queue'
      location: location
      tags: allTags
      subnetId: network!.outputs.endpointSubnetId
      storageId: account.resourceId
      service: 'queue'
      zoneId: network!.outputs.zoneIds.queue
    }
  }
]

module functionApp 'modules/function-app.bicep' = {
  name: 'nsgflow-function-app'
  scope: group
  params: {
    name: '${abbreviations.functionApp}${token}'
    planName: '${abbreviations.appServicePlan}${token}'
    location: location
    tags: allTags
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances
    identityId: identity.outputs.resourceId
    identityClientId: identity.outputs.clientId
    blobEndpoint: hostStorage.outputs.blobEndpoint
    queueEndpoint: hostStorage.outputs.queueEndpoint
    tableEndpoint: hostStorage.outputs.tableEndpoint
    deploymentContainer: deploymentContainer
    insightsConnectionString: applicationInsights.outputs.connectionString
    connections: [
      for (account, index) in accounts: {
        name: account.connection
        blobEndpoint: flowLogs[index].outputs.blobEndpoint
        queueEndpoint: documentedTriggerRoles ? flowLogs[index].outputs.queueEndpoint : hostStorage.outputs.queueEndpoint
      }
    ]
    options: {
      stateTable: stateTable
      stateDays: stateDays
      stateContainer: stateContainer
      logsEndpoint: dataCollectionRule.outputs.endpoint
      logsRuleId: dataCollectionRule.outputs.immutableId
      logsStream: dataCollectionRule.outputs.stream
      logsFilter: logsFilter
      webhookUrl: empty(webhookUrl) ? '' : '@Microsoft.KeyVault(SecretUri=${keyVault.outputs.uri}secrets/webhook-url)'
      webhookFormat: webhookFormat
      webhookSecret: empty(webhookSecret) ? '' : '@Microsoft.KeyVault(SecretUri=${keyVault.outputs.uri}secrets/webhook-secret)'
      webhookFilter: webhookFilter
      webhookMaxAgeMinutes: webhookMaxAgeMinutes
      webhookIntervalSeconds: webhookIntervalSeconds
      webhookRepeatMinutes: webhookRepeatMinutes
      sweepHours: sweepHours
      serviceTags: serviceTags
      inventory: inventoryEnabled ? 'resourcegraph' : ''
      workspaceId: workspace.outputs.resourceId
    }
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
  }
  // The app reads its package and resolves its Key Vault references as it starts.
  dependsOn: [roles, hostEndpoints]
}

module alertRules 'modules/alerts.bicep' = if (alertsEnabled) {
  name: 'nsgflow-alerts'
  scope: group
  params: {
    actionGroupName: '${abbreviations.actionGroup}${token}'
    location: workspace.outputs.location
    tags: allTags
    workspaceId: workspace.outputs.resourceId
    insightsId: applicationInsights.outputs.resourceId
    connectionCount: length(accounts)
    rowAlerts: tablePlan == 'Analytics'
    emails: alertEmails
    webhookUrl: alertWebhookUrl
    options: alerts
  }
  dependsOn: [table]
}

module workbook 'modules/workbook.bicep' = {
  name: 'nsgflow-workbook'
  scope: group
  params: {
    location: location
    tags: allTags
    workspaceId: workspace.outputs.resourceId
    insightsId: applicationInsights.outputs.resourceId
  }
}

@description('Region of the deployment.')
output AZURE_LOCATION string = location

@description('Resource group of the app.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Name of the app, which the code is deployed to.')
output AZURE_FUNCTION_APP_NAME string = functionApp.outputs.name

@description('Resource id of the workspace with the flows.')
output NSGFLOW_WORKSPACE_RESOURCE_ID string = workspace.outputs.resourceId

@description('Resource id of the workbook.')
output NSGFLOW_WORKBOOK_ID string = workbook.outputs.resourceId

@description('Resource id of the storage account for events that cannot be delivered: a parameter of events.bicep.')
output NSGFLOW_DEAD_LETTER_STORAGE_ID string = hostStorage.outputs.resourceId

@description('Container there: a parameter of events.bicep.')
output NSGFLOW_DEAD_LETTER_CONTAINER string = eventDeadLetterContainer

@description('System topics to subscribe to: a parameter of events.bicep.')
output NSGFLOW_EVENT_SOURCES array = [
  for (account, index) in accounts: {
    connection: account.connection
    subscriptionId: account.subscriptionId
    resourceGroup: account.topicResourceGroup
    systemTopicName: account.topicName
    deadLetter: !empty(topics[index].outputs.principalId)
  }
]
