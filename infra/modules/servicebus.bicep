// Service Bus: queues from queues.json, no keys. The identity sends to and receives from each queue by itself; it owns none.

import { queueType } from '../types.bicep'

param name string
param location string
param tags object

@allowed(['Standard', 'Premium'])
param sku string

@description('Messaging units of a Premium namespace.')
param messagingUnits int

param zoneRedundant bool
param queues queueType[]

@description('Reachable through a private endpoint only; needs Premium.')
param isPrivate bool

param workspaceId string
param principalId string

@description('Its name, of which the names of its role assignments are made.')
param identityName string
param roles object

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: sku == 'Premium' ? { name: 'Premium', tier: 'Premium', capacity: messagingUnits } : { name: 'Standard', tier: 'Standard' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    zoneRedundant: sku == 'Premium' && zoneRedundant
  }

  // Not partitioned: a queue without sessions takes batches of mixed keys only when it is in one piece.
  resource queue 'queues' = [
    for item in queues: {
      name: item.name
      properties: {
        requiresSession: item.requiresSession
        requiresDuplicateDetection: true
        duplicateDetectionHistoryTimeWindow: item.duplicateDetection
        lockDuration: item.lockDuration
        maxDeliveryCount: item.maxDeliveryCount
        deadLetteringOnMessageExpiration: true
        defaultMessageTimeToLive: 'P14D'
        enablePartitioning: false
        maxSizeInMegabytes: 5120
      }
    }
  ]
}

resource send 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (item, i) in queues: {
    name: guid(namespace.id, item.name, identityName, roles.serviceBusDataSender)
    scope: namespace::queue[i]
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataSender)
    }
  }
]

resource receive 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (item, i) in queues: {
    name: guid(namespace.id, item.name, identityName, roles.serviceBusDataReceiver)
    scope: namespace::queue[i]
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataReceiver)
    }
  }
]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-log-analytics'
  scope: namespace
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

output id string = namespace.id
output name string = namespace.name
