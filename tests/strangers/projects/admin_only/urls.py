from mysite.urls import urlpatterns

urlpatterns = [route for route in urlpatterns if str(route.pattern) != "accounts/"]
