metadata name = 'DNS zone'
metadata description = 'A private DNS zone of one service, linked to a virtual network.'

@description('Required. Name of the zone.')
param name string

@description('Required. Tags of the zone.')
param tags object

@description('Required. Resource id of the virtual network.')
param networkId string

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: name
  location: 'global'
  tags: tags

  resource link 'virtualNetworkLinks' = {
    name: 'nsgflow-${uniqueString(networkId)}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
}

@description('Resource id of the zone.')
output resourceId string = zone.id
