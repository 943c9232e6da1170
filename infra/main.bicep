metadata name = 'nsgflow'
metadata description = 'nsgflow next to flow logs that exist: everything but what waits for the code, which events.bicep adds.'

targetScope = 'subscription'

import { accountProblems, inventoryTargets, prefixProblems, retentionProblems, subnetProblems } from './checks.bicep'
import { alertOptions, alertSettings, dnsZones, eventSource, flowLogAccount, resourceNames } from './types.bicep'

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

@description('Optional. Whether that resource group exists: then its region and tags stay as they are.')
param resourceGroupExists bool = false

@description('Optional. What names have between abbreviation and token: letters, digits and hyphens.')
@maxLength(7)
param namePrefix string = ''

@description('Optional. Names to give in place of those made from abbreviation, prefix and token.')
param names resourceNames = {}

@description('Optional. Tags of everything that is made.')
param tags object = {}

@description('Optional. How events come: EventGrid, where Event Grid calls the app, or Queue, where it writes to a storage queue that the app reads. Queue is for more than one account, accounts of other teams and closed networks: an account that refuses the app then fails its own events only.')
@allowed(['EventGrid', 'Queue'])
param triggerSource string = 'EventGrid'

@description('Optional. Give the app the roles that the trigger\'s documentation names on the flow-log accounts (Storage Blob Data Owner and Storage Queue Data Contributor) and put poison messages there. The default is to read only, with poison messages in host storage.')
param documentedTriggerRoles bool = false

@description('Optional. Ask Resource Graph for the names of NSGs, virtual machines and subnets: VNet flow logs name NSGs only by GUID.')
param inventoryEnabled bool = true

@description('Optional. What the app gets Reader on, for the inventory: ids (GUIDs) of subscriptions, and resource ids of management groups (/providers/Microsoft.Management/managementGroups/NAME). The default is the subscriptions of the flow-log accounts.')
param inventoryScopes string[] = []

@description('Optional. Whether to assign these roles on subscriptions. With false, and for management groups always, the output NSGFLOW_INVENTORY_COMMANDS has the commands for whoever may.')
param inventoryRolesEnabled bool = true

@description('Optional. Source of service tags: an https URL or path of Microsoft\'s ServiceTags JSON, or arm. The default is none.')
param serviceTags string = ''

@description('Optional. Filter terms of what goes to the table.')
param logsFilter string = 'action=denied'

@description('Optional. Columns that are not sent to the table, separated by commas, or none to send all. SourceBlob is the longest by far.')
param logsOmit string = 'SourceBlob'

@description('Optional. Resource id of an existing workspace. The default is a new one.')
param workspaceId string = ''

@description('Optional. Resource id of an existing Application Insights, which must send to the same workspace. The default is a new one.')
param applicationInsightsId string = ''

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

@description('Optional. Headers that go with every alert, by name, such as Authorization. They are kept in Key Vault. The default is none.')
@secure()
param webhookHeaders object = {}

@description('Optional. URI of a secret of another Key Vault with the webhook\'s URL, in place of webhookUrl.')
param webhookUrlSecretUri string = ''

@description('Optional. URI of a secret of another Key Vault with the webhook\'s secret, in place of webhookSecret.')
param webhookSecretSecretUri string = ''

@description('Optional. URI of a secret of another Key Vault with the webhook\'s headers as a JSON object, in place of webhookHeaders.')
param webhookHeadersSecretUri string = ''

@description('Optional. Resource id of the Key Vault of these secrets: the app gets Key Vault Secrets User on it. Without it somebody else has to assign the role.')
param webhookVaultId string = ''

@description('Optional. Whether nsgflow\'s own Key Vault, which is made only for webhookUrl, webhookSecret or webhookHeaders, is protected from purging. It cannot be taken back.')
param keyVaultPurgeProtection bool = true

@description('Optional. Take back the deleted Key Vault of an earlier nsgflow of the same name.')
param keyVaultRecover bool = false

@description('Optional. Format of the webhook\'s alerts: cloudevents, slack, teams or pagerduty.')
param webhookFormat string = 'cloudevents'

@description('Optional. What alerts in the format cloudevents are announced as: many receivers take only application/json.')
@allowed(['application/cloudevents+json', 'application/json'])
param webhookContentType string = 'application/cloudevents+json'

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

@description('Optional. Minutes without a new flow, while its log went on, after which a group is told as over, with the formats for people.')
@minValue(5)
@maxValue(1440)
param webhookQuietMinutes int = 30

@description('Optional. Whether digests say what changed before a group of denied flows began: resourcegraph, or resourcegraph,names to say by whom as well. The default is not at all.')
@allowed(['', 'resourcegraph', 'resourcegraph,names'])
param changes string = ''

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

@description('Optional. Whether instances and nsgflow\'s storage are spread over the zones of the region, where it has zones.')
param zoneRedundant bool = false

@description('Optional. Further settings of the app, by name, as docs/configuration.md has them. They win over those that other parameters make. A secret goes in as a reference to Key Vault.')
param appSettings object = {}

@description('Optional. Whether storage, vault, app and topics send their resource logs to the workspace too.')
param diagnosticsEnabled bool = false

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

@description('Optional. Address space of nsgflow\'s own virtual network, /25 or larger.')
param privateAddressPrefix string = '10.190.0.0/24'

@description('Optional. Resource id of a subnet of yours that the app goes out through: delegated to Microsoft.App/environments, in the app\'s region. Then private mode is on, and no network is made.')
param appSubnetId string = ''

@description('Optional. Resource id of a subnet of yours for private endpoints, in the same network.')
param endpointSubnetId string = ''

@description('Optional. Private DNS zones of yours, by service.')
param privateDnsZoneIds dnsZones = {}

@description('Optional. Whether private mode makes the private DNS zones that are not given. With false, something else, such as a policy, registers the endpoints.')
param privateDnsZonesEnabled bool = true

@description('Optional. Whether the flow-log accounts get private endpoints. With false, they have some already or let the app\'s subnet in.')
param flowLogEndpointsEnabled bool = true

var abbreviations = loadJsonContent('./abbreviations.json')
// A region has the same name with and without spaces and capitals, and no second app.
var token = toLower(uniqueString(subscription().id, environmentName, toLower(replace(location, ' ', ''))))
var stem = empty(namePrefix) ? token : '${toLower(namePrefix)}-${token}'
var allTags = union(tags, { 'azd-env-name': environmentName })
var problems = concat(
  accountProblems(flowLogAccounts),
  prefixProblems(namePrefix),
  retentionProblems(tablePlan, retentionInDays, totalRetentionInDays),
  subnetProblems(appSubnetId, endpointSubnetId)
)
var groupName = !empty(problems)
  ? fail(join(problems, '. '))
  : (empty(resourceGroupName) ? '${abbreviations.resourceGroup}${environmentName}' : resourceGroupName)
var appName = names.?functionApp ?? '${abbreviations.functionApp}${stem}'

var deploymentContainer = 'app-package'
var stateContainer = 'nsgflow-state'
var stateTable = 'nsgflowcheckpoints'
var eventDeadLetterContainer = 'eventgrid-deadletter'
var eventsQueue = triggerSource == 'Queue' ? 'nsgflow-events' : ''

// Built-in roles; the ids are the same in every tenant.
var roleIds = {
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  storageBlobDataReader: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}

var accountSubscriptions = map(flowLogAccounts, account => split(account.resourceId, '/')[2])
var targets = inventoryEnabled ? inventoryTargets(empty(inventoryScopes) ? accountSubscriptions : inventoryScopes) : []
var inventorySubscriptions = filter(targets, target => !contains(target, '/'))
// A deployment to a subscription may not assign roles on management groups.
var commandedTargets = inventoryRolesEnabled ? filter(targets, target => contains(target, '/')) : targets

// The app only ever reads flow logs. That reading is enough rests on the trigger's source: with
// Event Grid it writes no receipts and takes no lease there, and its queues are where the
// connection's queue service points, which is host storage. The documentation names wider roles.
var flowLogRoleIds = documentedTriggerRoles
  ? [roleIds.storageBlobDataOwner, roleIds.storageQueueDataContributor]
  : [roleIds.storageBlobDataReader]

var hasSecrets = !empty(webhookUrl) || !empty(webhookSecret) || !empty(webhookHeaders)
var privateMode = privateNetworking || !empty(appSubnetId)
var ownNetwork = privateMode && empty(appSubnetId)

resource newGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = if (!resourceGroupExists) {
  name: groupName
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  name: 'nsgflow-identity'
  scope: resourceGroup(groupName)
  params: {
    name: names.?identity ?? '${abbreviations.userAssignedIdentity}${stem}'
    location: location
    tags: allTags
  }
  dependsOn: [newGroup]
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'nsgflow-monitoring-${token}'
  params: {
    resourceGroupName: groupName
    location: location
    tags: allTags
    token: token
    stem: stem
    names: names
    workspaceId: workspaceId
    applicationInsightsId: applicationInsightsId
    tablePlan: tablePlan
    retentionInDays: retentionInDays
    totalRetentionInDays: totalRetentionInDays
    principalId: identity.outputs.principalId
    publisherRoleId: roleIds.monitoringMetricsPublisher
  }
}

module hostStorage 'modules/host-storage.bicep' = {
  name: 'nsgflow-host-storage'
  scope: resourceGroup(groupName)
  params: {
    name: names.?storageAccount ?? '${abbreviations.storageAccount}${replace(stem, '-', '')}'
    location: location
    tags: allTags
    deploymentContainer: deploymentContainer
    stateContainer: stateContainer
    stateTable: stateTable
    eventDeadLetterContainer: eventDeadLetterContainer
    eventsQueue: eventsQueue
    deadLetterRetentionDays: deadLetterRetentionDays
    privateNetworking: privateMode
    zoneRedundant: zoneRedundant
    diagnosticsWorkspaceId: diagnosticsEnabled ? monitoring.outputs.workspaceId : ''
  }
  dependsOn: [newGroup]
}

module secrets 'modules/secrets.bicep' = if (hasSecrets) {
  name: 'nsgflow-secrets'
  scope: resourceGroup(groupName)
  params: {
    vaultName: names.?keyVault ?? '${abbreviations.keyVault}${stem}'
    location: location
    tags: allTags
    webhookUrl: webhookUrl
    webhookSecret: webhookSecret
    webhookHeaders: webhookHeaders
    purgeProtection: keyVaultPurgeProtection
    recover: keyVaultRecover
    privateNetworking: privateMode
    principalId: identity.outputs.principalId
    roleId: roleIds.keyVaultSecretsUser
    diagnosticsWorkspaceId: diagnosticsEnabled ? monitoring.outputs.workspaceId : ''
  }
}

module storageRoles 'modules/role-assignment.json' = [
  for (id, index) in [
    roleIds.storageBlobDataOwner
    roleIds.storageQueueDataContributor
    roleIds.storageTableDataContributor
  ]: {
    name: 'nsgflow-role-storage-${index}'
    scope: resourceGroup(groupName)
    params: {
      scope: hostStorage.outputs.resourceId
      roleId: id
      principalId: identity.outputs.principalId
    }
  }
]

module webhookVaultRole 'modules/role-assignment.json' = if (!empty(webhookVaultId)) {
  name: 'nsgflow-role-vault-${token}'
  scope: resourceGroup(
    empty(webhookVaultId) ? subscription().subscriptionId : split(webhookVaultId, '/')[2],
    empty(webhookVaultId) ? groupName : split(webhookVaultId, '/')[4]
  )
  params: {
    scope: webhookVaultId
    roleId: roleIds.keyVaultSecretsUser
    principalId: identity.outputs.principalId
  }
}

module inventoryReaders 'modules/inventory-reader.bicep' = [
  for id in (inventoryRolesEnabled ? inventorySubscriptions : []): {
    name: 'nsgflow-inventory-${token}'
    scope: subscription(id)
    params: { principalId: identity.outputs.principalId }
  }
]

module flowLogs 'modules/flow-logs.bicep' = {
  name: 'nsgflow-flow-logs-${token}'
  params: {
    accounts: flowLogAccounts
    token: token
    tags: allTags
    appName: appName
    principalId: identity.outputs.principalId
    roleIds: flowLogRoleIds
    resourceGroupName: groupName
    hostStorageId: hostStorage.outputs.resourceId
    deadLetterContainer: eventDeadLetterContainer
    eventsQueue: eventsQueue
    diagnosticsWorkspaceId: diagnosticsEnabled ? monitoring.outputs.workspaceId : ''
  }
}

module network 'modules/network.bicep' = if (ownNetwork) {
  name: 'nsgflow-network'
  scope: resourceGroup(groupName)
  params: {
    name: names.?virtualNetwork ?? '${abbreviations.virtualNetwork}${stem}'
    location: location
    tags: allTags
    addressPrefix: privateAddressPrefix
  }
  dependsOn: [newGroup]
}

module privateAccess 'modules/private-access.bicep' = if (privateMode) {
  name: 'nsgflow-private-access'
  scope: resourceGroup(groupName)
  params: {
    namePrefix: names.?privateEndpoint ?? '${abbreviations.privateEndpoint}${stem}'
    location: location
    tags: allTags
    subnetId: ownNetwork ? network!.outputs.endpointSubnetId : endpointSubnetId
    zoneIds: privateDnsZoneIds
    createZones: privateDnsZonesEnabled
    hostStorageId: hostStorage.outputs.resourceId
    hasKeyVault: hasSecrets
    keyVaultId: hasSecrets ? secrets!.outputs.vaultId : ''
    accounts: flowLogEndpointsEnabled ? flowLogAccounts : []
    // The queue service of a flow-log account is asked only with the documented roles.
    accountQueues: documentedTriggerRoles
  }
}

module functionApp 'modules/function-app.bicep' = {
  name: 'nsgflow-function-app'
  scope: resourceGroup(groupName)
  params: {
    name: appName
    planName: names.?plan ?? '${abbreviations.appServicePlan}${stem}'
    location: location
    tags: allTags
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances
    zoneRedundant: zoneRedundant
    identityId: identity.outputs.resourceId
    identityClientId: identity.outputs.clientId
    blobEndpoint: hostStorage.outputs.blobEndpoint
    queueEndpoint: hostStorage.outputs.queueEndpoint
    tableEndpoint: hostStorage.outputs.tableEndpoint
    deploymentContainer: deploymentContainer
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    connections: flowLogs.outputs.connections
    queueTrigger: triggerSource == 'Queue'
    documentedQueues: documentedTriggerRoles
    settings: union(
      {
        NSGFLOW_TRIGGER_SOURCE: triggerSource
        NSGFLOW_EVENTS_QUEUE: eventsQueue
        NSGFLOW_STATE_TABLE: stateTable
        NSGFLOW_STATE_DAYS: string(stateDays)
        NSGFLOW_STATE_CONTAINER: stateContainer
        NSGFLOW_LOGS_ENDPOINT: monitoring.outputs.logsEndpoint
        NSGFLOW_LOGS_RULE_ID: monitoring.outputs.logsRuleId
        NSGFLOW_LOGS_STREAM: monitoring.outputs.logsStream
        NSGFLOW_LOGS_FILTER: logsFilter
        NSGFLOW_LOGS_OMIT: logsOmit
        NSGFLOW_WEBHOOK_URL: empty(webhookUrl)
          ? (empty(webhookUrlSecretUri) ? '' : '@Microsoft.KeyVault(SecretUri=${webhookUrlSecretUri})')
          : '@Microsoft.KeyVault(SecretUri=${secrets!.outputs.webhookUrlUri})'
        NSGFLOW_WEBHOOK_FORMAT: webhookFormat
        NSGFLOW_WEBHOOK_SECRET: empty(webhookSecret)
          ? (empty(webhookSecretSecretUri) ? '' : '@Microsoft.KeyVault(SecretUri=${webhookSecretSecretUri})')
          : '@Microsoft.KeyVault(SecretUri=${secrets!.outputs.webhookSecretUri})'
        NSGFLOW_WEBHOOK_HEADERS: empty(webhookHeaders)
          ? (empty(webhookHeadersSecretUri) ? '' : '@Microsoft.KeyVault(SecretUri=${webhookHeadersSecretUri})')
          : '@Microsoft.KeyVault(SecretUri=${secrets!.outputs.webhookHeadersUri})'
        NSGFLOW_WEBHOOK_CONTENT_TYPE: webhookContentType
        NSGFLOW_WEBHOOK_FILTER: webhookFilter
        NSGFLOW_WEBHOOK_MAX_AGE_MINUTES: webhookMaxAgeMinutes > 0 ? string(webhookMaxAgeMinutes) : ''
        NSGFLOW_WEBHOOK_INTERVAL_SECONDS: string(webhookIntervalSeconds)
        NSGFLOW_WEBHOOK_REPEAT_MINUTES: string(webhookRepeatMinutes)
        NSGFLOW_WEBHOOK_QUIET_MINUTES: string(webhookQuietMinutes)
        NSGFLOW_SWEEP_HOURS: string(sweepHours)
        NSGFLOW_SERVICE_TAGS: serviceTags
        NSGFLOW_INVENTORY: inventoryEnabled ? 'resourcegraph' : ''
        NSGFLOW_CHANGES: changes
        NSGFLOW_WORKSPACE_ID: monitoring.outputs.workspaceId
      },
      mapValues(appSettings, value => string(value))
    )
    subnetId: ownNetwork ? network!.outputs.appSubnetId : appSubnetId
    diagnosticsWorkspaceId: diagnosticsEnabled ? monitoring.outputs.workspaceId : ''
  }
  // The app reads its package and resolves its Key Vault references as it starts.
  dependsOn: [storageRoles, webhookVaultRole, privateAccess]
}

module actionGroup 'modules/action-group.bicep' = if (alertsEnabled && (!empty(alertEmails) || !empty(alertWebhookUrl))) {
  name: 'nsgflow-action-group'
  scope: resourceGroup(groupName)
  params: {
    name: names.?actionGroup ?? '${abbreviations.actionGroup}${stem}'
    tags: allTags
    emails: alertEmails
    webhookUrl: alertWebhookUrl
  }
  dependsOn: [newGroup]
}

@description('Region of the deployment.')
output AZURE_LOCATION string = location

@description('Resource group of the app.')
output AZURE_RESOURCE_GROUP string = groupName

@description('Name of the app, which the code is deployed to.')
output AZURE_FUNCTION_APP_NAME string = functionApp.outputs.name

@description('Resource id of the workspace with the flows.')
output NSGFLOW_WORKSPACE_RESOURCE_ID string = monitoring.outputs.workspaceId

@description('Resource id of the workbook.')
output NSGFLOW_WORKBOOK_ID string = monitoring.outputs.workbookId

@description('Resource id of the storage account for events that cannot be delivered: a parameter of events.bicep.')
output NSGFLOW_DEAD_LETTER_STORAGE_ID string = hostStorage.outputs.resourceId

@description('Container there: a parameter of events.bicep.')
output NSGFLOW_DEAD_LETTER_CONTAINER string = eventDeadLetterContainer

@description('How events come. With Queue, events.bicep gets no sources.')
output NSGFLOW_TRIGGER_SOURCE string = triggerSource

@description('System topics to subscribe to: a parameter of events.bicep.')
output NSGFLOW_EVENT_SOURCES eventSource[] = flowLogs.outputs.sources

@description('What the alert rules need to know: a parameter of events.bicep.')
output NSGFLOW_ALERT_RULES alertSettings = {
  enabled: alertsEnabled
  location: monitoring.outputs.workspaceLocation
  tags: allTags
  workspaceId: monitoring.outputs.workspaceId
  insightsId: monitoring.outputs.insightsId
  actionGroupId: actionGroup.?outputs.resourceId ?? ''
  connectionCount: length(flowLogAccounts)
  rowAlerts: tablePlan == 'Analytics'
  options: alerts
}

@description('Commands that give the app Reader for the inventory, where this deployment does not: on management groups, and everywhere with inventoryRolesEnabled false.')
output NSGFLOW_INVENTORY_COMMANDS string[] = [
  for target in commandedTargets: 'az role assignment create --role Reader --assignee-object-id ${identity.outputs.principalId} --assignee-principal-type ServicePrincipal --scope ${contains(target, '/') ? target : '/subscriptions/${target}'}'
]
