param location string = 'westeurope'
param tool string = 'mcr.microsoft.com/azuredocs/aci-helloworld:1.0'
resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: 'app'
  properties: {
    template: {
      containers: [
        { name: 'api', image: 'acme.azurecr.io/api:2.3' }
        { name: 'web', image: '${registry.properties.loginServer}/web:1.0' }
      ]
    }
  }
}
module net 'br/public:avm/res/network/virtual-network:0.4.0' = { name: 'net' }
