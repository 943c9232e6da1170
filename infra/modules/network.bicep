metadata name = 'Network'
metadata description = 'Private mode: the virtual network of the app and the DNS zones of storage.'

@description('Required. Name of the virtual network.')
param name string

@description('Required. Region of the virtual network.')
param location string

@description('Required. Tags of the network and the zones.')
param tags object

@description('Required. Address space, /25 or larger.')
param addressPrefix string

@description('Required. Whether to make the private DNS zones; with false, something else, such as a policy, registers the endpoints.')
param createDnsZones bool

var zoneNames = map(['blob', 'queue', 'table'], service => 'privatelink.${service}.${environment().suffixes.storage}')

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        // Its way out to the internet is the service's own: private subnets do not apply to
        // delegated ones. Flex Consumption takes no underscore in the name.
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          delegations: [
            {
              name: 'flex'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 1)
          defaultOutboundAccess: false
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }

  resource appSubnet 'subnets' existing = {
    name: 'app'
  }

  resource endpointSubnet 'subnets' existing = {
    name: 'endpoints'
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in zoneNames: if (createDnsZones) {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, index) in zoneNames: if (createDnsZones) {
    parent: zones[index]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: network.id }
    }
  }
]

@description('Subnet that the app goes out through.')
output appSubnetId string = network::appSubnet.id

@description('Subnet of the private endpoints.')
output endpointSubnetId string = network::endpointSubnet.id

@description('Ids of the DNS zones by service, empty ids when none are made.')
output zoneIds object = {
  blob: createDnsZones ? zones[0].id : ''
  queue: createDnsZones ? zones[1].id : ''
  table: createDnsZones ? zones[2].id : ''
}
