import * as k8s from "@pulumi/kubernetes";
import { x } from "npm:@acme/lib@1.2.3";

// Replaces nginx:1.25.
const appLabels = { "app.kubernetes.io/name": "web:blue", "acme.example/team:web": "a" };
export const web = new k8s.apps.v1.Deployment("web", {
  spec: {
    template: {
      spec: {
        containers: [
          { name: "web", image: "nginx:1.27", ports: [{ containerPort: 80 }] },
          { name: "api", image: 'ghcr.io/acme/api:3.2.1@sha256:19581e27de7ced00ff1ce50b2047e7a567c76b1cbaebabe5ef03f7c3017bb5b7' },
          { name: "own", image: `${x}/own:1.0` },
          { name: "two", image: "ghcr.io/acme/two:" + x },
          { name: "pic", image: "https://acme.example/pic:1.png" },
        ],
      },
    },
  },
});
