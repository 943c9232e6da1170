metadata name = 'Network'
metadata description = 'Private mode with a network of its own: one subnet for the app, one for private endpoints.'

@description('Required. Name of the virtual network.')
param name string

@description('Required. Region of the virtual network.')
param location string

@description('Required. Tags of the network.')
param tags object

@description('Required. Address space, /25 or larger.')
param addressPrefix string

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

@description('Subnet that the app goes out through.')
output appSubnetId string = network::appSubnet.id

@description('Subnet of the private endpoints.')
output endpointSubnetId string = network::endpointSubnet.id
