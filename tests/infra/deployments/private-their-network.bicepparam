using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
  }
]
param privateNetworking = true
param appSubnetId = '/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/spoke/subnets/flex'
param endpointSubnetId = '/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/spoke/subnets/endpoints'
param privateDnsZoneIds = {
  blob: '/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.blob.core.windows.net'
  queue: '/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.queue.core.windows.net'
  table: '/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.table.core.windows.net'
}
param privateDnsZonesEnabled = false
param flowLogEndpointsEnabled = false
