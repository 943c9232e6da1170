metadata name = 'Private endpoint'
metadata description = 'One private endpoint of one service of a storage account or a Key Vault.'

@description('Required. Name of the endpoint.')
param name string

@description('Required. Region of the endpoint, which must be the network\'s.')
param location string

@description('Required. Tags of the endpoint.')
param tags object

@description('Required. Subnet of the endpoint.')
param subnetId string

@description('Required. Resource id of the account or vault; it may be in another region or subscription.')
param targetId string

@description('Required. Service that is reached.')
@allowed(['blob', 'queue', 'table', 'vault'])
param service string

@description('Required. Id of the DNS zone, or empty for none.')
param zoneId string

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: service
        properties: {
          privateLinkServiceId: targetId
          groupIds: [service]
        }
      }
    ]
  }

  resource dns 'privateDnsZoneGroups' = if (!empty(zoneId)) {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: service
          properties: { privateDnsZoneId: zoneId }
        }
      ]
    }
  }
}
