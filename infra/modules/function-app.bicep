metadata name = 'Function app'
metadata description = 'The Flex Consumption plan and the app, with every setting that nsgflow reads.'

import { flowLogConnection } from '../types.bicep'

@description('Required. Name of the app.')
param name string

@description('Required. Name of the plan; a Flex Consumption plan holds one app.')
param planName string

@description('Required. Region of the app.')
param location string

@description('Required. Tags of the plan and the app.')
param tags object

@description('Required. Version of Python.')
param pythonVersion string

@description('Required. Memory of an instance.')
param instanceMemoryMB int

@description('Required. The most instances that the app may run on.')
param maximumInstanceCount int

@description('Required. Instances that are kept ready for events.')
param alwaysReadyInstances int

@description('Required. Whether instances are spread over the zones of the region.')
param zoneRedundant bool

@description('Required. Resource id of the identity.')
param identityId string

@description('Required. Client id of the identity.')
param identityClientId string

@description('Required. Blob service of the host storage, with a slash at the end.')
param blobEndpoint string

@description('Required. Queue service of the host storage.')
param queueEndpoint string

@description('Required. Table service of the host storage.')
param tableEndpoint string

@description('Required. Container that the app is deployed from.')
param deploymentContainer string

@description('Required. Connection string of Application Insights.')
param insightsConnectionString string

@description('Required. Flow-log accounts as the app connects to them.')
param connections flowLogConnection[]

@description('Required. Whether events come by queue, and not by Event Grid calling the app.')
param queueTrigger bool

@description('Required. Whether poison messages go to the queue service of the flow-log account, and not to host storage.')
param documentedQueues bool

@description('Required. Settings of nsgflow, and any other: names and values. They win.')
param settings object

@description('Required. Subnet that the app goes out through, or empty for none; with one, only Event Grid gets in, and nobody where events come by queue.')
param subnetId string

@description('Required. Workspace that the app sends its diagnostics to, or empty for none.')
param diagnosticsWorkspaceId string

// The threads of a worker: one for each blob that the host hands over at a time
// (maxDegreeOfParallelism in host.json), one for the sweep and one for the timer of digests.
var host = loadJsonContent('../../host.json')
var workerThreads = host.extensions.blobs.maxDegreeOfParallelism + 2

var platformSettings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  AzureWebJobsStorage__queueServiceUri: queueEndpoint
  AzureWebJobsStorage__tableServiceUri: tableEndpoint
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  AZURE_CLIENT_ID: identityClientId
  PYTHON_THREADPOOL_THREAD_COUNT: string(workerThreads)
  NSGFLOW_CONNECTIONS: join(map(connections, connection => connection.name), ',')
}

var connectionSettings = map(connections, connection => {
  '${connection.name}__blobServiceUri': connection.blobEndpoint
  '${connection.name}__queueServiceUri': documentedQueues ? connection.queueEndpoint : queueEndpoint
  '${connection.name}__credential': 'managedidentity'
  '${connection.name}__clientId': identityClientId
})

// host.json names the functions whose lines are kept. A setting could name more, but its name would
// have a period, which Flex Consumption may refuse.
var unheard = queueTrigger
  ? []
  : filter(
      map(connections, connection => connection.name),
      name =>
        !contains(host.logging.logLevel, 'Function.nsg_${name}.User') || !contains(
          host.logging.logLevel,
          'Function.vnet_${name}.User'
        )
    )

var allSettings = empty(unheard)
  ? union(reduce(connectionSettings, platformSettings, (all, some) => union(all, some)), settings)
  : fail('host.json does not let the lines of these connections through: ${join(unheard, ', ')}. Add Function.nsg_NAME.User and Function.vnet_NAME.User at Information to its logLevel')

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'nsgflow' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}${deploymentContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyInstances > 0
          ? [{ name: queueTrigger ? 'function:events' : 'blob', instanceCount: alwaysReadyInstances }]
          : []
      }
    }
    siteConfig: {
      alwaysOn: false
      minTlsVersion: '1.2'
      appSettings: map(items(allSettings), setting => { name: setting.key, value: setting.value })
      // Event Grid cannot deliver to a private endpoint, so the way in stays public, for Event
      // Grid alone. Deployment goes in by the other site, which asks for an Entra sign-in.
      ipSecurityRestrictionsDefaultAction: empty(subnetId) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: empty(subnetId) || queueTrigger
        ? []
        : [
            {
              name: 'EventGrid'
              action: 'Allow'
              priority: 100
              tag: 'ServiceTag'
              ipAddress: 'AzureEventGrid'
            }
          ]
      scmIpSecurityRestrictionsUseMain: false
    }
  }

  resource ftpPasswords 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scmPasswords 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(diagnosticsWorkspaceId)) {
  scope: app
  name: 'nsgflow'
  properties: {
    workspaceId: diagnosticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the app.')
output resourceId string = app.id

@description('Name of the app.')
output name string = app.name

@description('Host name that Event Grid calls; it need not be the app\'s name.')
output hostName string = app.properties.defaultHostName
