metadata name = 'Host storage'
metadata description = 'The storage account of the app: its package, its queue, and the state of nsgflow.'

@description('Required. Name of the account.')
param name string

@description('Required. Region of the account.')
param location string

@description('Required. Tags of the account.')
param tags object

@description('Required. Container that the app is deployed from.')
param deploymentContainer string

@description('Required. Container of nsgflow: dead letters, inventory, service tags.')
param stateContainer string

@description('Required. Table of the checkpoints.')
param stateTable string

@description('Required. Container of events that Event Grid could not deliver.')
param eventDeadLetterContainer string

@description('Required. Queue that Event Grid delivers to, or empty for none.')
param eventsQueue string

@description('Required. Days after which dead letters are deleted.')
param deadLetterRetentionDays int

@description('Required. Whether only private endpoints and trusted Azure services reach the account.')
param privateNetworking bool

@description('Required. Whether the account is replicated over the zones of its region.')
param zoneRedundant bool

@description('Required. Workspace that the account\'s services send their diagnostics to, or empty for none.')
param diagnosticsWorkspaceId string

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // In private mode the account stays reachable for trusted services: Event Grid puts events here,
    // those for the queue and those that it could not deliver, with its system-assigned identity.
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetworking ? 'Deny' : 'Allow'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource containers 'containers' = [
      for container in [deploymentContainer, stateContainer, eventDeadLetterContainer]: {
        name: container
        properties: { publicAccess: 'None' }
      }
    ]
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource events 'queues' = if (!empty(eventsQueue)) {
      name: empty(eventsQueue) ? 'none' : eventsQueue
    }
  }

  resource tables 'tableServices' = {
    name: 'default'

    resource checkpoints 'tables' = {
      name: stateTable
    }
  }

  resource lifecycle 'managementPolicies' = {
    name: 'default'
    properties: {
      policy: {
        rules: [
          {
            name: 'delete-dead-letters'
            type: 'Lifecycle'
            enabled: true
            definition: {
              filters: {
                blobTypes: ['blockBlob']
                prefixMatch: ['${stateContainer}/deadletter/', '${eventDeadLetterContainer}/']
              }
              actions: {
                baseBlob: {
                  delete: { daysAfterModificationGreaterThan: deadLetterRetentionDays }
                }
              }
            }
          }
        ]
      }
    }
    dependsOn: [blobs]
  }
}

resource blobDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(diagnosticsWorkspaceId)) {
  scope: account::blobs
  name: 'nsgflow'
  properties: {
    workspaceId: diagnosticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

resource queueDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(diagnosticsWorkspaceId)) {
  scope: account::queues
  name: 'nsgflow'
  properties: {
    workspaceId: diagnosticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

resource tableDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(diagnosticsWorkspaceId)) {
  scope: account::tables
  name: 'nsgflow'
  properties: {
    workspaceId: diagnosticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

@description('Resource id of the account.')
output resourceId string = account.id

@description('Blob service, with a slash at the end.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('Queue service, with a slash at the end.')
output queueEndpoint string = account.properties.primaryEndpoints.queue

@description('Table service, with a slash at the end.')
output tableEndpoint string = account.properties.primaryEndpoints.table
