from django.conf.urls.i18n import i18n_patterns

from mysite.urls import urlpatterns

urlpatterns = i18n_patterns(*urlpatterns)
