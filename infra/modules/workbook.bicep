// The operations workbook: queue ages, freeze times, limits, alerts.

param name string
param location string
param tags object
param workspaceId string
param namespaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, name)
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: name
    category: 'workbook'
    sourceId: workspaceId
    version: '1.0'
    serializedData: replace(replace(loadTextContent('../workbook.json'), '{workspaceId}', workspaceId), '{namespaceId}', namespaceId)
  }
}
