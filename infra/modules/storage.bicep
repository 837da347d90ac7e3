// One storage account: no keys, no anonymous blobs, TLS 1.2. Used twice: for the host's own state and packages, and for the data.

import { containerType } from '../types.bicep'

param name string
param location string
param tags object
param sku string
param containers containerType[]

@description('The program keeps its tables here.')
param hasTables bool

@description('Versions of blobs are kept, and old ones cannot be overwritten in place.')
param versioning bool

@description('Reachable through private endpoints only.')
param isPrivate bool

param workspaceId string
param principalId string

@description('Its name, of which the names of its role assignments are made.')
param identityName string

@description('Roles of the identity on the whole account; roles on a container stand with the container.')
param accountRoles string[]

@description('Who operates; given the operator roles of the containers. Empty: nobody.')
param operatorPrincipalId string
param operatorPrincipalType string


resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      isVersioningEnabled: versioning
      deleteRetentionPolicy: { enabled: true, days: 30 }
      containerDeleteRetentionPolicy: { enabled: true, days: 30 }
    }

    resource container 'containers' = [
      for item in containers: {
        name: item.name
        properties: {
          publicAccess: 'None'
          immutableStorageWithVersioning: item.?immutableDays == null ? null : { enabled: true }
        }
      }
    ]
  }

  resource tables 'tableServices' = if (hasTables) {
    name: 'default'
    properties: {}
  }
}

// Unlocked: an operator locks it once, knowingly (see the runbook). A locked policy cannot be shortened or removed by anybody.
resource immutability 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2023-05-01' = [
  for (item, i) in containers: if (item.?immutableDays != null) {
    parent: account::blobs::container[i]
    name: 'default'
    properties: {
      immutabilityPeriodSinceCreationInDays: item.?immutableDays ?? 1
      allowProtectedAppendWrites: false
    }
  }
]

var expiring = filter(containers, item => item.?versionDays != null)

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2023-05-01' = if (!empty(expiring)) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        for item in expiring: {
          name: '${item.name}-versions'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${item.name}/'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: item.?versionDays ?? 30 } } }
          }
        }
      ]
    }
  }
}

resource onAccount 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in accountRoles: {
    name: guid(account.id, identityName, role)
    scope: account
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource onContainer 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (item, i) in containers: if (item.?role != null) {
    name: guid(account.id, item.name, identityName, item.?role ?? '')
    scope: account::blobs::container[i]
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', item.?role ?? '')
    }
  }
]

resource operatorOnContainer 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (item, i) in containers: if (item.?operatorRole != null && operatorPrincipalId != '') {
    name: guid(account.id, item.name, operatorPrincipalId, item.?operatorRole ?? '')
    scope: account::blobs::container[i]
    properties: {
      principalId: operatorPrincipalId
      principalType: operatorPrincipalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', item.?operatorRole ?? '')
    }
  }
]

resource blobDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-log-analytics'
  scope: account::blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'StorageRead', enabled: versioning }
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

// Reads of tables are left out: the program reads rows with every message, and each line is paid for.
resource tableDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (hasTables) {
  name: 'to-log-analytics'
  scope: account::tables
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

output id string = account.id
output name string = account.name
