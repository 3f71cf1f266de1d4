-- Dagster's database is made by the image (POSTGRES_DB); the catalog of the lake has one of its own.
CREATE DATABASE lake;
