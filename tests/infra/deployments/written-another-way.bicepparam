using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'West Europe'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/Microsoft.Storage/storageAccounts/flowlogswest'
  }
]
param logsOmit = 'none'
param inventoryScopes = [
  'AAAAAAAA-4444-4444-4444-444444444444'
  '/subscriptions/aaaaaaaa-4444-4444-4444-444444444444'
  '/providers/Microsoft.Management/managementGroups/landing-zones'
]
param appSettings = {
  NSGFLOW_SWEEP_HOURS: 5
}
param appSubnetId = '/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/apps'
param endpointSubnetId = '/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/endpoints'
