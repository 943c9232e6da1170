metadata name = 'Checks'
metadata description = 'What cannot work although each parameter by itself may be so: said before anything is made.'

import { flowLogAccount } from './types.bicep'

@export()
@description('Name of the connection of an account: as given, or by its place.')
func connectionName(account flowLogAccount, index int) string =>
  account.?connection ?? (index == 0 ? 'FlowLogs' : 'FlowLogs${index + 1}')

@export()
@description('What is wrong with the list of accounts.')
func accountProblems(accounts flowLogAccount[]) string[] =>
  concat(
    map(
      filter(
        accounts,
        account =>
          length(split(account.resourceId, '/')) != 9 || !contains(
            toLower(account.resourceId),
            '/providers/microsoft.storage/storageaccounts/'
          )
      ),
      account => 'This is no resource id of a storage account: ${account.resourceId}'
    ),
    length(union(
        map(accounts, account => toLower(account.resourceId)),
        map(accounts, account => toLower(account.resourceId))
      )) < length(accounts)
      ? ['flowLogAccounts has an account twice']
      : [],
    // The host tells functions apart without regard to case.
    length(union(
        map(accounts, (account, index) => toLower(connectionName(account, index))),
        map(accounts, (account, index) => toLower(connectionName(account, index)))
      )) < length(accounts)
      ? ['flowLogAccounts has a connection twice']
      : [],
    // Its settings would be those of host storage, and take their place.
    contains(map(accounts, (account, index) => toLower(connectionName(account, index))), 'azurewebjobsstorage')
      ? ['AzureWebJobsStorage is the connection of host storage: choose another name']
      : []
  )

@export()
@description('What is wrong with the prefix of names: a vault\'s name has letters, digits and single hyphens.')
func prefixProblems(prefix string) string[] =>
  contains('-${prefix}-', '--') && !empty(prefix) || !empty(filter(
      map(range(0, length(prefix)), at => toLower(substring(prefix, at, 1))),
      letter => !contains('abcdefghijklmnopqrstuvwxyz0123456789-', letter)
    ))
    ? ['namePrefix is to be letters and digits, with single hyphens between them']
    : []

@export()
@description('What is wrong with the retention of the table. The plan Basic keeps 30 days for queries.')
func retentionProblems(plan string, days int, total int) string[] =>
  total != -1 && total < (plan == 'Basic' ? 30 : days)
    ? ['totalRetentionInDays is less than the days that rows are kept for queries: give -1 for the same']
    : []

@export()
@description('What is wrong with the subnets: each is of use only with the other.')
func subnetProblems(app string, endpoints string) string[] =>
  empty(app) == empty(endpoints)
    ? []
    : [empty(app) ? 'With endpointSubnetId give appSubnetId too' : 'With appSubnetId give endpointSubnetId too']

@export()
@description('Where the inventory is read: ids of subscriptions in lower case, however they were given, and of management groups; each once.')
func inventoryTargets(scopes string[]) string[] =>
  union(
    map(
      scopes,
      scope =>
        startsWith(toLower(scope), '/subscriptions/')
          ? toLower(split(scope, '/')[2])
          : (contains(scope, '/') ? scope : toLower(scope))
    ),
    []
  )
