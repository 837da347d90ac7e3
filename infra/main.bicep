// Everything that DingFlow needs in Azure, into one resource group. No shared key anywhere: the program, its host and the operator sign
// in with Microsoft Entra. Secrets are not parameters: the operator puts them into the vault (see README.md).

targetScope = 'resourceGroup'

import { alwaysReadyType } from './types.bicep'

@description('Which of several installations this is: part of every name.')
@minLength(2)
@maxLength(5)
param environmentName string

@description('Where everything stands. For DingTalk and HR data of mainland China see README.md: an instance abroad is itself an export.')
param location string = resourceGroup().location

@description('Where DingFlow runs, as an ISO 3166 code: abroad, the people whose data arrive in it count as transferred. By default that of the location; a location that is not known here must be named.')
@maxLength(2)
param region string = ''

@description('Azure public, or Azure China (21Vianet).')
@allowed(['public', 'china'])
param cloud string = 'public'

@description('flex: Flex Consumption. dedicated: an App Service plan, where there is no Flex Consumption (Azure China).')
@allowed(['flex', 'dedicated'])
param hosting string = 'flex'

@description('SKU of the dedicated plan.')
param dedicatedSku string = 'P0v3'

@description('Spread over availability zones, where the region has them. The region must offer it.')
param zoneRedundant bool = false

@description('Instances always ready for HTTP. Two or more for an upgrade without a gap.')
@minValue(1)
param alwaysReadyHttp int = 1

@description('More instances that are always ready.')
param alwaysReady alwaysReadyType[] = []

@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('RollingUpdate (preview, not in every region) replaces instances one after another; Recreate ends what runs.')
@allowed(['RollingUpdate', 'Recreate'])
param siteUpdateStrategy string = 'Recreate'

@description('Premium is needed for private endpoints, messages over 256 KB and steady throughput.')
@allowed(['Standard', 'Premium'])
param serviceBusSku string = 'Standard'

@description('Messaging units of Premium.')
param messagingUnits int = 1

@description('Replication of the data. Geo-replication copies to the paired region, which may lie in another country: see README.md.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_RAGRS', 'Standard_GZRS', 'Standard_RAGZRS'])
param dataSku string = 'Standard_ZRS'

@description('A network of its own, and private endpoints for Service Bus, storage and vault. The function app stays public: webhooks come from outside.')
param privateNetwork bool = false

@description('Address space of that network; a /24 or larger.')
param addressPrefix string = '10.90.0.0/24'

@description('Days that logs are kept.')
@minValue(180)
@maxValue(730)
param logRetentionDays int = 180

@description('GB a day after which the workspace stops taking logs; -1 means never.')
param dailyQuotaGb int = -1

@description('Days that a version of an evidence blob can be neither changed nor deleted. The policy is unlocked until an operator locks it.')
@minValue(1)
param evidenceDays int = 1095

@description('Object id of the group (or person) that operates: may write secrets and releases. Empty: nobody is given that.')
param operatorPrincipalId string = ''

@allowed(['Group', 'User', 'ServicePrincipal'])
param operatorPrincipalType string = 'Group'

@description('E-mail addresses that are told.')
@minLength(1)
param alertEmails string[]

@description('Telephones that are told by short message.')
param alertPhones { countryCode: string, number: string }[] = []

@description('A webhook that is told (common alert schema).')
@secure()
param alertWebhook string = ''

@description('Messages of one queue that may wait before people are told.')
param alertActiveMessages int = 100

@description('Minutes that a message may have waited before people are told.')
param alertQueueAgeMinutes int = 5

@description('Refused requests (401) in five minutes before people are told.')
param alertUnauthorized int = 20

@description('When the thresholds are evaluated (NCRONTAB, UTC).')
param alertInterval string = '0 */5 * * * *'

@description('Monthly budget in the currency of the bill; 0: none.')
@minValue(0)
param budgetAmount int = 0

@description('First of the month in which the budget begins; never changed later.')
param budgetStart string = '2026-12-01'

@description('Ask callers for certificates (SAP SuccessFactors, Workday).')
param clientCertificates bool = false

@description('Networks that may call the app at all; empty: any.')
param allowedNetworks string[] = []

@description('Tenant of Microsoft Entra whose accounts are frozen; empty: none.')
param entraTenantId string = ''

@description('Application (client) id for which Entra tokens of people must be; empty: API keys only.')
param authAudience string = ''

@description('Further settings of functions/docs/settings.md, by their names with colons. No secrets: those go into the vault.')
param settings object = {}

param tags object = {}

var roles = loadJsonContent('roles.json')
var queues = loadJsonContent('queues.json')
var timers = loadJsonContent('timers.json')

var allTags = union({ product: 'DingFlow', environment: environmentName }, tags)
var unique = uniqueString(resourceGroup().id, environmentName)
var prefix = 'dingflow-${environmentName}'
var serviceBusTier = privateNetwork ? 'Premium' : serviceBusSku

// Not environment(): it does not tell all of these, and nothing could be predicted before the deployment.
var endpointsOf = loadJsonContent('clouds.json')[cloud]

var hostStorageName = 'df${environmentName}host${unique}'
var dataStorageName = 'df${environmentName}data${unique}'
var identityName = '${prefix}-identity'
var networkName = '${prefix}-network'
var namespaceName = '${prefix}-${unique}'
var vaultName = '${prefix}-${take(unique, 8)}'
var packages = 'packages'
var evidence = 'evidence'
var audit = 'audit'

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: { name: identityName, location: location, tags: allTags }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    workspaceName: '${prefix}-logs'
    insightsName: '${prefix}-insights'
    location: location
    tags: allTags
    retentionDays: logRetentionDays
    dailyQuotaGb: dailyQuotaGb
    principalId: identity.outputs.principalId
    identityName: identityName
    roles: roles
  }
}

// The host makes containers of its own here (leases, keys), so its role is on the account. Nothing else lies in it.
module hostStorage 'modules/storage.bicep' = {
  name: 'host-storage'
  params: {
    name: hostStorageName
    location: location
    tags: allTags
    sku: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'
    containers: [
      { name: packages }
      // Packages that passed their smoke test: what a roll-back goes back to.
      { name: 'releases', operatorRole: roles.storageBlobDataContributor }
    ]
    hasTables: false
    versioning: false
    isPrivate: privateNetwork
    workspaceId: monitoring.outputs.workspaceId
    principalId: identity.outputs.principalId
    identityName: identityName
    accountRoles: [roles.storageBlobDataOwner]
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
  }
}

// Tables are made by the program on first use, so its role is on the account, for tables only; evidence has its role on its container.
module dataStorage 'modules/storage.bicep' = {
  name: 'data-storage'
  params: {
    name: dataStorageName
    location: location
    tags: allTags
    sku: dataSku
    containers: [
      // Anchors of the audit trail, and whatever else must be provable: nobody changes or deletes a version before its time.
      { name: evidence, immutableDays: evidenceDays, role: roles.storageBlobDataContributor }
      // The archive of the audit trail is written anew when content has passed its retention; versions before it go after a month.
      { name: audit, versionDays: 30, role: roles.storageBlobDataContributor }
    ]
    hasTables: true
    versioning: true
    isPrivate: privateNetwork
    workspaceId: monitoring.outputs.workspaceId
    principalId: identity.outputs.principalId
    identityName: identityName
    accountRoles: [roles.storageTableDataContributor]
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
  }
}

module serviceBus 'modules/servicebus.bicep' = {
  name: 'service-bus'
  params: {
    name: namespaceName
    location: location
    tags: allTags
    sku: serviceBusTier
    messagingUnits: messagingUnits
    zoneRedundant: zoneRedundant
    queues: queues
    isPrivate: privateNetwork
    workspaceId: monitoring.outputs.workspaceId
    principalId: identity.outputs.principalId
    identityName: identityName
    roles: roles
  }
}

module vault 'modules/keyvault.bicep' = {
  name: 'vault'
  params: {
    name: vaultName
    location: location
    tags: allTags
    isPrivate: privateNetwork
    plainSettings: inVault
    workspaceId: monitoring.outputs.workspaceId
    principalId: identity.outputs.principalId
    identityName: identityName
    roles: roles
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  params: {
    name: networkName
    location: location
    tags: allTags
    addressPrefix: addressPrefix
    appDelegation: hosting == 'flex' ? 'Microsoft.App/environments' : 'Microsoft.Web/serverFarms'
  }
}

var endpoints = [
  { name: 'service-bus', target: 'namespace', group: 'namespace', zone: 'privatelink.${endpointsOf.serviceBus}' }
  { name: 'host-blob', target: 'host', group: 'blob', zone: 'privatelink.blob.${endpointsOf.storage}' }
  { name: 'data-blob', target: 'data', group: 'blob', zone: 'privatelink.blob.${endpointsOf.storage}' }
  { name: 'data-table', target: 'data', group: 'table', zone: 'privatelink.table.${endpointsOf.storage}' }
  { name: 'vault', target: 'vault', group: 'vault', zone: endpointsOf.privateVault }
]
var zoneNames = union(map(endpoints, e => e.zone), [])

module zones 'modules/zone.bicep' = [
  for zone in zoneNames: if (privateNetwork) {
    name: 'zone-${uniqueString(zone)}'
    params: { name: zone, tags: allTags, networkId: network!.outputs.id, networkName: networkName }
  }
]

module privateEndpoints 'modules/endpoint.bicep' = [
  for endpoint in endpoints: if (privateNetwork) {
    name: 'endpoint-${endpoint.name}'
    params: {
      name: '${prefix}-${endpoint.name}'
      location: location
      tags: allTags
      targetId: endpoint.target == 'namespace'
        ? serviceBus.outputs.id
        : endpoint.target == 'host' ? hostStorage.outputs.id : endpoint.target == 'data' ? dataStorage.outputs.id : vault.outputs.id
      group: endpoint.group
      zoneName: endpoint.zone
      subnetId: network!.outputs.endpointSubnetId
    }
    dependsOn: [zones]
  }
]

// --- Settings ---

// Names with a hyphen cannot be app settings on Linux; the vault takes them, and the program reads it.
var inVault = toObject(filter(items(settings), s => contains(s.key, '-')), s => s.key, s => s.value)
var asAppSettings = toObject(filter(items(settings), s => !contains(s.key, '-')), s => replace(s.key, ':', '__'), s => s.value)

var ofHost = {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
  AZURE_CLIENT_ID: identity.outputs.clientId
  AzureWebJobsStorage__blobServiceUri: 'https://${hostStorageName}.blob.${endpointsOf.storage}'
  AzureWebJobsStorage__clientId: identity.outputs.clientId
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__queueServiceUri: 'https://${hostStorageName}.queue.${endpointsOf.storage}'
  AzureWebJobsStorage__tableServiceUri: 'https://${hostStorageName}.table.${endpointsOf.storage}'
  ServiceBusConnection__clientId: identity.outputs.clientId
  ServiceBusConnection__credential: 'managedidentity'
  ServiceBusConnection__fullyQualifiedNamespace: '${namespaceName}.${endpointsOf.serviceBus}'
}
// Locations by the place whose law they are under. Hong Kong is a place of its own.
var countryOfLocation = {
  chinaeast: 'CN', chinaeast2: 'CN', chinaeast3: 'CN', chinanorth: 'CN', chinanorth2: 'CN', chinanorth3: 'CN'
  eastasia: 'HK', southeastasia: 'SG', japaneast: 'JP', japanwest: 'JP', koreacentral: 'KR', koreasouth: 'KR'
  malaysiawest: 'MY', indonesiacentral: 'ID', australiaeast: 'AU', centralindia: 'IN'
  westeurope: 'NL', northeurope: 'IE', germanywestcentral: 'DE', francecentral: 'FR', swedencentral: 'SE', italynorth: 'IT'
  spaincentral: 'ES', polandcentral: 'PL', norwayeast: 'NO', switzerlandnorth: 'CH', uksouth: 'GB', ukwest: 'GB'
  eastus: 'US', eastus2: 'US', centralus: 'US', westus2: 'US', westus3: 'US', canadacentral: 'CA', brazilsouth: 'BR'
}
var regionOfProgram = region != '' ? region : countryOfLocation[?toLower(replace(location, ' ', ''))] ?? ''
var ofProgram = union(
  {
    Alerts__Interval: alertInterval
    Audit__Anchor__ContainerUri: 'https://${dataStorageName}.blob.${endpointsOf.storage}/${evidence}'
    Audit__Archive__ContainerUri: 'https://${dataStorageName}.blob.${endpointsOf.storage}/${audit}'
    // The package is mounted read-only; nothing here outlives the instance.
    DingFlow__DataDirectory: '/tmp/dingflow'
    DingFlow__Queue: 'servicebus'
    DingFlow__Store: 'tables'
    Entra__Cloud: cloud
    Intake__ClientAddressHeader: 'X-Forwarded-For'
    KeyVault__Uri: 'https://${vaultName}.${endpointsOf.vault}/'
    Storage__TableServiceUri: 'https://${dataStorageName}.table.${endpointsOf.storage}/'
  },
  regionOfProgram == '' ? {} : { DingFlow__Region: regionOfProgram },
  entraTenantId == '' ? {} : { Entra__TenantId: entraTenantId },
  authAudience == ''
    ? {}
    : { Auth__Audience: authAudience, Auth__Authority: '${endpointsOf.login}${subscription().tenantId}/v2.0' },
  serviceBusTier == 'Premium' ? { ServiceBus__MaxMessageBytes: '1048576' } : {}
)

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    planName: '${prefix}-plan'
    appName: '${prefix}-${take(unique, 8)}'
    location: location
    tags: allTags
    hosting: hosting
    dedicatedSku: dedicatedSku
    zoneRedundant: zoneRedundant
    alwaysReadyHttp: alwaysReadyHttp
    alwaysReady: alwaysReady
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    siteUpdateStrategy: siteUpdateStrategy
    deploymentContainerUri: 'https://${hostStorageName}.blob.${endpointsOf.storage}/${packages}'
    identityId: identity.outputs.id
    settings: union(ofProgram, asAppSettings, ofHost)
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    clientCertificates: clientCertificates
    allowedNetworks: allowedNetworks
    workspaceId: monitoring.outputs.workspaceId
  }
  // The app starts with its settings: whatever it reads then must be there, and it must be allowed to.
  dependsOn: [hostStorage, dataStorage, serviceBus, vault, privateEndpoints]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    prefix: prefix
    location: location
    tags: allTags
    emails: alertEmails
    phones: alertPhones
    webhookUri: alertWebhook
    queues: queues
    timers: timers
    premium: serviceBusTier == 'Premium'
    namespaceId: serviceBus.outputs.id
    vaultId: vault.outputs.id
    storageIds: [hostStorage.outputs.id, dataStorage.outputs.id]
    workspaceId: monitoring.outputs.workspaceId
    activeMessages: alertActiveMessages
    queueAgeMinutes: alertQueueAgeMinutes
    unauthorized: alertUnauthorized
  }
}

module budget 'modules/budget.bicep' = if (budgetAmount > 0) {
  name: 'budget'
  params: {
    name: '${prefix}-budget'
    amount: max(budgetAmount, 1)
    startDate: budgetStart
    emails: alertEmails
    actionGroupId: alerts.outputs.actionGroupId
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  params: {
    name: 'DingFlow operations (${environmentName})'
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    namespaceId: serviceBus.outputs.id
  }
}

output appName string = app.outputs.name
output appHost string = app.outputs.hostName
output vaultName string = vaultName
output hostStorage string = hostStorageName
output dataStorage string = dataStorageName
output serviceBus string = namespaceName
output clientId string = identity.outputs.clientId
output principalId string = identity.outputs.principalId
