metadata name = 'Private access'
metadata description = 'Private mode: the private endpoints of host storage, Key Vault and the flow-log accounts, and their DNS zones.'

import { dnsZones, flowLogAccount } from '../types.bicep'

@description('Required. What the names of the endpoints begin with.')
param namePrefix string

@description('Required. Region of the endpoints, which must be the network\'s.')
param location string

@description('Required. Tags of endpoints and zones.')
param tags object

@description('Required. Subnet of the endpoints.')
param subnetId string

@description('Required. Zones that exist.')
param zoneIds dnsZones

@description('Required. Whether to make the zones that do not; with false, something else, such as a policy, registers the endpoints.')
param createZones bool

@description('Required. Resource id of host storage.')
param hostStorageId string

@description('Required. Whether there is a Key Vault.')
param hasKeyVault bool

@description('Required. Resource id of the Key Vault, or empty for none.')
param keyVaultId string

@description('Required. Accounts with flow logs that get endpoints.')
param accounts flowLogAccount[]

@description('Required. Whether the queues of these accounts get endpoints too.')
param accountQueues bool

var services = ['blob', 'queue', 'table', 'vault']
var zoneNames = {
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  queue: 'privatelink.queue.${environment().suffixes.storage}'
  table: 'privatelink.table.${environment().suffixes.storage}'
  vault: 'privatelink.vaultcore.azure.net'
}
var givenZones = union({ blob: '', queue: '', table: '', vault: '' }, zoneIds)
var flowLogServices = flatten(map(
  accounts,
  account =>
    map(
      accountQueues ? ['blob', 'queue'] : ['blob'],
      service => { id: account.resourceId, account: toLower(last(split(account.resourceId, '/'))), service: service }
    )
))

module zones 'dns-zone.bicep' = [
  for service in services: if (createZones && empty(givenZones[service]) && (service != 'vault' || hasKeyVault)) {
    name: 'nsgflow-zone-${service}'
    params: {
      name: zoneNames[service]
      tags: tags
      networkId: split(subnetId, '/subnets/')[0]
    }
  }
]

module ownEndpoints 'private-endpoint.bicep' = [
  for (service, index) in services: if (service != 'vault' || hasKeyVault) {
    name: 'nsgflow-endpoint-${service}'
    params: {
      name: '${namePrefix}-${service}'
      location: location
      tags: tags
      subnetId: subnetId
      targetId: service == 'vault' ? keyVaultId : hostStorageId
      service: service
      zoneId: !empty(givenZones[service]) ? givenZones[service] : (createZones ? zones[index]!.outputs.resourceId : '')
    }
  }
]

module flowLogEndpoints 'private-endpoint.bicep' = [
  for item in flowLogServices: {
    name: take('nsgflow-endpoint-${item.service}-${item.account}', 64)
    params: {
      name: '${namePrefix}-${item.account}-${item.service}'
      location: location
      tags: tags
      subnetId: subnetId
      targetId: item.id
      service: item.service
      zoneId: !empty(givenZones[item.service])
        ? givenZones[item.service]
        : (createZones ? zones[indexOf(services, item.service)]!.outputs.resourceId : '')
    }
  }
]
