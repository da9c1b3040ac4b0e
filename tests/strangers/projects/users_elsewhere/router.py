OF_USERS = {"auth", "admin", "contenttypes"}


class UsersElsewhere:
    def db_for_read(self, model, **hints):
        return "users" if model._meta.app_label in OF_USERS else "default"

    db_for_write = db_for_read

    def allow_relation(self, one, other, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return (db == "users") == (app_label in OF_USERS)
