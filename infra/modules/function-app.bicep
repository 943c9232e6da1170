metadata name = 'Function app'
metadata description = 'The Flex Consumption plan and the app, with every setting that nsgflow reads.'

import { flowLogConnection, nsgflowOptions } from '../types.bicep'

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

@description('Required. Instances that are kept ready for blob events.')
param alwaysReadyInstances int

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

@description('Required. What the app delivers, and where.')
param options nsgflowOptions

@description('Required. Subnet that the app goes out through, or empty for none; with one, only Event Grid gets in.')
param subnetId string

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
}

var nsgflowSettings = {
  NSGFLOW_CONNECTIONS: join(map(connections, connection => connection.name), ',')
  NSGFLOW_TRIGGER_SOURCE: 'EventGrid'
  NSGFLOW_STATE_TABLE: options.stateTable
  NSGFLOW_STATE_DAYS: string(options.stateDays)
  NSGFLOW_STATE_CONTAINER: options.stateContainer
  NSGFLOW_LOGS_ENDPOINT: options.logsEndpoint
  NSGFLOW_LOGS_RULE_ID: options.logsRuleId
  NSGFLOW_LOGS_STREAM: options.logsStream
  NSGFLOW_LOGS_FILTER: options.logsFilter
  NSGFLOW_WEBHOOK_URL: options.webhookUrl
  NSGFLOW_WEBHOOK_FORMAT: options.webhookFormat
  NSGFLOW_WEBHOOK_SECRET: options.webhookSecret
  NSGFLOW_WEBHOOK_FILTER: options.webhookFilter
  NSGFLOW_WEBHOOK_MAX_AGE_MINUTES: options.webhookMaxAgeMinutes > 0 ? string(options.webhookMaxAgeMinutes) : ''
  NSGFLOW_WEBHOOK_INTERVAL_SECONDS: string(options.webhookIntervalSeconds)
  NSGFLOW_WEBHOOK_REPEAT_MINUTES: string(options.webhookRepeatMinutes)
  NSGFLOW_SWEEP_HOURS: string(options.sweepHours)
  NSGFLOW_SERVICE_TAGS: options.serviceTags
  NSGFLOW_INVENTORY: options.inventory
  NSGFLOW_WORKSPACE_ID: options.workspaceId
}

var connectionSettings = map(connections, connection => {
  '${connection.name}__blobServiceUri': connection.blobEndpoint
  '${connection.name}__queueServiceUri': connection.queueEndpoint
  '${connection.name}__credential': 'managedidentity'
  '${connection.name}__clientId': identityClientId
})

// host.json lets the summary lines of the default connection through; those of others are let
// through here. (Names with a period are refused on Linux by Elastic Premium and Dedicated plans;
// the documentation does not name Flex Consumption, and it was not tried.)
var extraConnections = filter(connections, connection => connection.name != 'FlowLogs')
var logLevelSettings = map(extraConnections, connection => {
  'AzureFunctionsJobHost__logging__logLevel__Function.nsg_${connection.name}.User': 'Information'
  'AzureFunctionsJobHost__logging__logLevel__Function.vnet_${connection.name}.User': 'Information'
})

var settings = reduce(
  concat(connectionSettings, logLevelSettings),
  union(platformSettings, nsgflowSettings),
  (all, some) => union(all, some)
)

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
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
        alwaysReady: alwaysReadyInstances > 0 ? [{ name: 'blob', instanceCount: alwaysReadyInstances }] : []
      }
    }
    siteConfig: {
      alwaysOn: false
      minTlsVersion: '1.2'
      appSettings: map(items(settings), setting => { name: setting.key, value: setting.value })
      // Event Grid cannot deliver to a private endpoint, so the way in stays public, for Event
      // Grid alone. Deployment goes in by the other site, which asks for an Entra sign-in.
      ipSecurityRestrictionsDefaultAction: empty(subnetId) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: empty(subnetId)
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

@description('Resource id of the app.')
output resourceId string = app.id

@description('Name of the app.')
output name string = app.name

@description('Host name that Event Grid calls; it need not be the app\'s name.')
output hostName string = app.properties.defaultHostName
