package com.acme.app;

import org.testcontainers.utility.DockerImageName;

class ContainerTest {
    // Kafka replaces rabbitmq:3.
    static final KafkaContainer KAFKA = new KafkaContainer(DockerImageName.parse("confluentinc/cp-kafka:7.6.1"));
    static final PostgreSQLContainer<?> DB = new PostgreSQLContainer<>("postgres:16.4");
    static final GenericContainer<?> CACHE = new GenericContainer<>("docker.io/library/redis:7.4").withExposedPorts(6379);
    static final String URL = "jdbc:tc:postgresql:16:///db";
    static final String ARTIFACT = "org.testcontainers:kafka:1.20.1";
    static final String TOOL = "quay.io/acme/tool:2.0";
    static final String NEXT = "quay.io/acme/tool:" + System.getenv("VERSION");
    static final String KEY = "classpath:com/acme/app:fixtures";
}
