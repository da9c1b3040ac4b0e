from django.contrib import admin
from django.contrib.auth import get_user_model

if not admin.site.is_registered(get_user_model()):
    admin.site.register(get_user_model())
