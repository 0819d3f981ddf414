"""How the processes are set up: the environment, Celery, queues, logs and Flower."""
