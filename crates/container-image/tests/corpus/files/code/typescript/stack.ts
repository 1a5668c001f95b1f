import * as ecs from 'aws-cdk-lib/aws-ecs';
import { readFileSync } from 'node:fs';
import type { Props } from '@acme/ui:props';

export function stack(task: ecs.TaskDefinition, props: Props) {
  task.addContainer('web', {
    image: ecs.ContainerImage.fromRegistry('amazon/amazon-ecs-sample:1.0'),
    environment: { MODE: 'a/b:c', CACHE: 'cache.acme.example:6379/0', START: '10:30' },
  });
  task.addContainer('app', { image: ecs.ContainerImage.fromRegistry(`ghcr.io/acme/app:${props.version}`) });
  const agent = "public.ecr.aws/cloudwatch-agent/cloudwatch-agent:1.300045";
  return { agent, file: readFileSync('src/stack.ts:12'), arn: 'arn:aws:ecs:eu-west-1:123456789012:task/web:1' };
}
