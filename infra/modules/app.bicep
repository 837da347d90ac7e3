// The plan and the function app. `flex` is Flex Consumption with the runtime `custom`; `dedicated` is an App Service plan, for regions
// without Flex Consumption: it needs no file share, and so no storage key either.

import { alwaysReadyType } from '../types.bicep'

param planName string
param appName string
param location string
param tags object

@allowed(['flex', 'dedicated'])
param hosting string

@description('SKU of a dedicated plan, such as P0v3.')
param dedicatedSku string

param zoneRedundant bool

@description('Instances that always stand ready for HTTP: DingTalk waits 1.5 s, a cold start is longer.')
@minValue(1)
param alwaysReadyHttp int

param alwaysReady alwaysReadyType[]

@allowed([512, 2048, 4096])
param instanceMemoryMB int

@minValue(40)
@maxValue(1000)
param maximumInstanceCount int

@description('RollingUpdate replaces instances one after another; Recreate ends what runs.')
@allowed(['RollingUpdate', 'Recreate'])
param siteUpdateStrategy string

param deploymentContainerUri string
param identityId string

@description('Names as environment variables (__ between levels).')
param settings object

@description('The subnet of the app; empty: no network of its own.')
param subnetId string

@description('Callers\' certificates are asked for (SAP SuccessFactors, Workday) and handed on in X-ARR-ClientCert.')
param clientCertificates bool

@description('Networks (CIDR) that may call the app; empty: all. Signatures decide in any case.')
param allowedNetworks string[]

param workspaceId string

var isFlex = hosting == 'flex'
var dedicatedSettings = {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'custom'
  WEBSITE_RUN_FROM_PACKAGE: '1'
}
var restrictions = [
  for (network, i) in allowedNetworks: {
    name: 'allowed-${i}'
    action: 'Allow'
    ipAddress: network
    priority: 100 + i
  }
]

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: isFlex ? 'functionapp' : 'linux'
  sku: isFlex ? { name: 'FC1', tier: 'FlexConsumption' } : { name: dedicatedSku, capacity: zoneRedundant ? 3 : 1 }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: appName
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    clientCertEnabled: clientCertificates
    clientCertMode: 'Optional'
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: subnetId == '' ? null : subnetId
    outboundVnetRouting: subnetId == '' || isFlex ? null : { allTraffic: true }
    // siteUpdateStrategy is documented for 2024-11-01 and later (preview); the compiler's types do not know it yet.
    #disable-next-line BCP037
    functionAppConfig: isFlex
      ? {
          deployment: {
            storage: {
              type: 'blobContainer'
              value: deploymentContainerUri
              authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
            }
          }
          runtime: { name: 'custom', version: '1.0' }
          scaleAndConcurrency: {
            alwaysReady: concat([{ name: 'http', instanceCount: alwaysReadyHttp }], alwaysReady)
            instanceMemoryMB: instanceMemoryMB
            maximumInstanceCount: maximumInstanceCount
          }
          siteUpdateStrategy: { type: siteUpdateStrategy }
        }
      : null
    siteConfig: {
      alwaysOn: !isFlex
      ftpsState: 'Disabled'
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      remoteDebuggingEnabled: false
      ipSecurityRestrictions: restrictions
      ipSecurityRestrictionsDefaultAction: empty(allowedNetworks) ? 'Allow' : 'Deny'
      appSettings: map(items(union(settings, isFlex ? {} : dedicatedSettings)), item => { name: item.key, value: item.value })
    }
  }

  // Publishing by user name and password.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-log-analytics'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

output id string = app.id
output name string = app.name
output hostName string = app.properties.defaultHostName
