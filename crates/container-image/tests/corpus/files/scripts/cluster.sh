#!/bin/bash
kind create cluster --name test --image kindest/node:v1.31.0
kubectl taint nodes --all node-role.kubernetes.io/control-plane:NoSchedule-
kubectl taint nodes worker acme.example/gpu=true:NoExecute dedicated.acme.example/batch:PreferNoSchedule
kubectl set image deployment/web web=nginx:1.27.1 sidecar=ghcr.io/acme/sidecar:0.8
kubectl run debug -it --rm --image=nicolaka/netshoot:v0.13 --restart=Never -- curl http://web:8080/health:live
kubectl port-forward svc/web 8080:80
kubectl label node worker acme.example/zone=a:b
kubectl create secret generic token --from-literal=key=prod/app:token
helm upgrade --install redis oci://registry-1.docker.io/bitnamicharts/redis:20.1.0 --set image.tag=7.4 --set master.image=x
ufw allow from 10.0.0.0/8:443
ssh -L 5432:db.acme.example:5432 bastion.acme.example
